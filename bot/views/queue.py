"""Show the queue to one person: their own jobs in full, others' only as a number."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.jobs.job import Job
from bot.texts import translate as _

_MOST_SHOWN = 15


def queue_embed(running: Sequence[Job], waiting: Sequence[Job], user_id: int) -> discord.Embed:
    """Return what runs and waits, as this person may see it. `waiting` is in order, with forecasts."""
    embed = discord.Embed(title=_("Queue"), colour=discord.Colour.blurple())
    embed.description = _("{running} running, {waiting} waiting.", running=len(running), waiting=len(waiting))
    own = [_running_line(job) for job in running if job.requester.user_id == user_id]
    own += [_waiting_line(job, ahead) for ahead, job in enumerate(waiting) if job.requester.user_id == user_id]
    if own:
        shown = own[:_MOST_SHOWN]
        if len(own) > _MOST_SHOWN:
            shown.append(_("… and {n} more", n=len(own) - _MOST_SHOWN))
        embed.add_field(name=_("Yours"), value="\n".join(shown)[:1024], inline=False)
    else:
        embed.add_field(name=_("Yours"), value=_("You have no jobs here."), inline=False)
    return embed


def _running_line(job: Job) -> str:
    status = job.status
    if status.steps:
        return _("/{task}: step {step} of {steps}", task=job.task, step=status.step, steps=status.steps)
    return _("/{task}: running", task=job.task)


def _waiting_line(job: Job, ahead: int) -> str:
    starts_in_s = job.status.starts_in_s
    if starts_in_s is None:
        return _("/{task}: {ahead} ahead", task=job.task, ahead=ahead)
    when = f"<t:{round(discord.utils.utcnow().timestamp() + starts_in_s)}:R>"
    if not ahead:
        return _("/{task}: next, starts {when}", task=job.task, when=when)
    return _("/{task}: {ahead} ahead, starts {when}", task=job.task, ahead=ahead, when=when)
