"""Offer jobs to stop: in a menu below the queue, and as choices of /cancel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import discord

from bot.components.cancel_button import cancel_job, cancel_own
from bot.components.component import Component
from bot.components.queue_embed import VisibleJobs, queue_embed
from bot.engine.job import Job
from bot.errors import UserError
from bot.i18n.texts import gettext as _
from bot.replies.job_status import status_text
from bot.replies.reply_address import ReplyAddress

if TYPE_CHECKING:
    from bot.bot import Bot

ALL_OWN = "mine"
MENU_IDS = re.compile("hubcord:stop")
_JOB_ID = re.compile("[0-9a-f]{16}")
_MOST_OPTIONS, _LABEL_CHARS = 25, 100


class JobMenu(Component, discord.ui.DynamicItem[discord.ui.Select[Any]], template=MENU_IDS):
    """Stop the job that is chosen, then show the queue as it is now. Nothing is remembered, so it works for ever."""

    def __init__(self, options: list[discord.SelectOption]) -> None:
        super().__init__(discord.ui.Select(custom_id="hubcord:stop", placeholder=_("Cancel a job"), options=options))

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], item: discord.ui.Item[Any], _match: re.Match[str], /
    ) -> Self:
        """Make the menu of a message that was sent before."""
        return cls(item.options if isinstance(item, discord.ui.Select) else [])

    async def on_click(self, interaction: discord.Interaction[Any]) -> None:
        """Stop what was chosen, and say so above the queue."""
        try:
            done = await cancel_choice(interaction, self.item.values[0])
        except UserError as error:
            done = str(error)
        sight = VisibleJobs.of(interaction)
        await interaction.response.edit_message(content=done, embed=queue_embed(sight), view=job_menu(sight))


async def send_queue(interaction: discord.Interaction[Bot], text: str | None = None) -> None:
    """Show the queue to a person privately, with a menu of what they may stop."""
    interaction.client.engine.refresh_etas()
    sight = VisibleJobs.of(interaction)
    menu = job_menu(sight) or discord.utils.MISSING
    await interaction.response.send_message(text, embed=queue_embed(sight), view=menu, ephemeral=True)


async def cancel_choice(interaction: discord.Interaction[Bot], choice: str) -> str:
    """Stop what a choice names and say so; raise UserError when it names nothing or may not be stopped."""
    if choice == ALL_OWN:
        return await cancel_own(interaction)
    if not _JOB_ID.fullmatch(choice):
        raise UserError("There is no such job. Choose one from the list.")
    return await cancel_job(interaction, choice)


def job_menu(sight: VisibleJobs) -> discord.ui.View | None:
    """Return a menu of the jobs that a person may stop, as many as Discord shows; None when there are none."""
    options = [discord.SelectOption(label=label[:_LABEL_CHARS], value=value) for label, value in job_choices(sight)]
    if not options:
        return None
    view = discord.ui.View(timeout=None)
    view.add_item(JobMenu(options[:_MOST_OPTIONS]))
    return view


def job_choices(sight: VisibleJobs) -> Iterator[tuple[str, str]]:
    """Yield what a person may stop as (shown, value): all of their own, each of these, then others'."""
    if len(sight.own) > 1:
        yield _("All of yours here ({n})", n=len(sight.own)), ALL_OWN
    for job in sight.own:
        yield _("/{task}: {standing}", task=job.task, standing=status_text(job.status)), job.id
    for job in sight.others:
        label = _("/{task} of {asker}: {standing}", task=job.task, asker=_asker(job), standing=status_text(job.status))
        yield label, job.id


def _asker(job: Job) -> str:
    name = ReplyAddress.of_job(job).asker if job.reply_to else ""
    return name or _("somebody")
