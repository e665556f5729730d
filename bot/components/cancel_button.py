"""Let the person who asked, or a moderator, stop a job. The button works after a restart too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

import discord

from bot.client.permissions import Rights, requester_of
from bot.components.component import Component
from bot.engine.job import JobState
from bot.errors import UserError
from bot.i18n.texts import gettext as _

if TYPE_CHECKING:
    from bot.bot import Bot

CANCEL_IDS = re.compile(r"hubcord:cancel:(?P<job>[0-9a-f]{16})")


class CancelButton(Component, discord.ui.DynamicItem[discord.ui.Button[Any]], template=CANCEL_IDS):
    """Stop the job that is named in the button's id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            discord.ui.Button(
                label=_("Cancel"), style=discord.ButtonStyle.secondary, custom_id=f"hubcord:cancel:{job_id}"
            )
        )
        self._job_id = job_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Make the button of a message that was sent before."""
        return cls(match["job"])

    async def on_click(self, interaction: discord.Interaction[Any]) -> None:
        """Stop the job, or tell why not. The message itself is changed by whoever follows the job."""
        await cancel_job(interaction, self._job_id)
        await interaction.response.defer()


async def cancel_job(interaction: discord.Interaction[Bot], job_id: str) -> str:
    """Stop a job for the person of this interaction and say so; raise UserError when they may not or it has ended.

    It won't run again, even if the bot is killed before the job hears of it.
    """
    engine = interaction.client.engine
    job = engine.jobs.get(job_id)
    if job is None:
        raise UserError("This job has ended already.")
    if not Rights.of(interaction).over(job):
        raise UserError("Only the person who asked, or a moderator, can cancel this.")
    engine.cancel(job_id)
    running = job.state is JobState.RUNNING
    await engine.flush()
    if running:
        return _("Stopping /{task} at its next step.", task=job.task)
    return _("Cancelled /{task}.", task=job.task)


async def cancel_own(interaction: discord.Interaction[Bot]) -> str:
    """Stop all that a person has waiting or running here and say how much it was; raise UserError if nothing."""
    engine = interaction.client.engine
    jobs = list(engine.admission.of_person(requester_of(interaction)))
    if not jobs:
        raise UserError("You have no jobs here.")
    for job in jobs:
        engine.cancel(job.id)
    await engine.flush()
    return _("Cancelled your jobs here: {n}.", n=len(jobs))


def cancel_view(job_id: str) -> discord.ui.View:
    """Return a row with the button that stops a job."""
    view = discord.ui.View(timeout=None)
    view.add_item(CancelButton(job_id))
    return view
