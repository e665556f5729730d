"""Show the queue to one person: their own jobs in full, others' only as a number, unless they moderate them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import discord

from bot.client.permissions import Rights, requester_of
from bot.engine.job import Job
from bot.i18n.texts import gettext as _
from bot.replies.job_status import queue_order, standing_with_start

if TYPE_CHECKING:
    from bot.bot import Bot

_FIELD_CHARS = 1024
_ROOM_FOR_REST_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleJobs:
    """Hold what one person may see: numbers of all jobs, their own here, and others' here that they moderate."""

    running: int
    waiting: int
    own: Sequence[Job]
    others: Sequence[Job]

    @classmethod
    def of(cls, interaction: discord.Interaction[Bot]) -> Self:
        """Return what the person behind an interaction sees."""
        engine, person, rights = interaction.client.engine, requester_of(interaction), Rights.of(interaction)
        running = len(engine.running())
        beside = (job for job in engine.admission.of_guild(person) if job.requester.user_id != person.user_id)
        return cls(
            running=running,
            waiting=len(engine.jobs) - running,
            own=sorted(engine.admission.of_person(person), key=queue_order),
            others=sorted(filter(rights.over, beside), key=queue_order),
        )


def queue_embed(sight: VisibleJobs) -> discord.Embed:
    """Return what runs and waits, as one person may see it."""
    embed = discord.Embed(title=_("Queue"), colour=discord.Colour.blurple())
    embed.description = _("{running} running, {waiting} waiting.", running=sight.running, waiting=sight.waiting)
    own = _lines(sight.own, _own_line) or _("You have no jobs here.")
    embed.add_field(name=_("Yours"), value=own, inline=False)
    if sight.others:
        embed.add_field(name=_("Others' that you moderate"), value=_lines(sight.others, _other_line), inline=False)
    return embed


def _own_line(job: Job) -> str:
    return _("/{task}: {standing}", task=job.task, standing=standing_with_start(job.status))


def _other_line(job: Job) -> str:
    asker, standing = f"<@{job.requester.user_id}>", standing_with_start(job.status)
    return _("/{task} of {asker}: {standing}", task=job.task, asker=asker, standing=standing)


def _lines(jobs: Sequence[Job], line: Callable[[Job], str]) -> str:
    """Return a line for each job, as many as an embed's field holds, and how many more there are."""
    shown = list(_fitting(map(line, jobs), _FIELD_CHARS - _ROOM_FOR_REST_CHARS))
    if len(shown) < len(jobs):
        shown.append(_("… and {n} more", n=len(jobs) - len(shown)))
    return "\n".join(shown)


def _fitting(lines: Iterable[str], chars: int) -> Iterable[str]:
    """Yield lines while they fit into `chars` characters."""
    for line in lines:
        chars -= len(line) + 1
        if chars < 0:
            return
        yield line
