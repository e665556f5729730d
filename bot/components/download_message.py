"""Show the owner in one private message how models are fetched, with a button that stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import discord

from bot.client.tree import NETWORK_ERRORS, unexpected
from bot.components.component import Component
from bot.errors import JobCancelled, UserError
from bot.hub.download.pulls import Pull
from bot.i18n.texts import gettext as _
from bot.replies.delivery import EDIT_EVERY_S
from bot.ui.markdown import escape, escape_keeping_links, steps_bar

if TYPE_CHECKING:
    from bot.bot import Bot

log = logging.getLogger(__name__)
_MESSAGE_CHARS = 2000
PULL_IDS = re.compile(r"hubcord:pull:(?P<pull>[0-9a-f]{16})")


class PullMessage:
    """Fetch models one after another. When the interaction's 15 minutes are over, the end is told by direct message."""

    def __init__(self, interaction: discord.Interaction[Bot]) -> None:
        self._interaction = interaction
        self._bot = interaction.client
        self._ended: list[str] = []
        self._shown = ""
        self._works = True

    async def fetch(self, references: Iterable[str]) -> None:
        """Fetch models and show how far they are, until the last one ended or the owner stopped it."""
        for reference in references:
            pull = self._bot.downloads.start(reference)
            await self._bot.replies.waiting(self._follow(pull))
            self._ended.append(_end(pull))
            if isinstance(pull.error, JobCancelled):
                break
        text = "\n".join(self._ended)
        await self._edit(text, None)
        if not self._works:
            await self._bot.owner_alerts.write(self._interaction.user.id, _last(text))

    async def _follow(self, pull: Pull) -> None:
        view = _stop_view(pull)
        while not pull.ended.is_set():
            text = "\n".join([*self._ended, pull_progress(pull)])
            if text != self._shown:
                await self._edit(text, view)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EDIT_EVERY_S):
                    await pull.ended.wait()
        view.stop()

    async def _edit(self, text: str, view: discord.ui.View | None) -> None:
        """Edit the message; after a refusal of Discord no more."""
        if not self._works:
            return
        try:
            await self._interaction.edit_original_response(content=_last(text), view=view)
        except NETWORK_ERRORS as error:
            log.warning("how far a model is can't be shown: %s", error)
            refused = isinstance(error, discord.HTTPException) and error.status < 500
            self._works = view is not None and not refused
        else:
            self._shown = text


class StopButton(Component, discord.ui.DynamicItem[discord.ui.Button[Any]], template=PULL_IDS):
    """Stop the download that is named in the button's id. Only the owner sees the message."""

    def __init__(self, pull_id: str) -> None:
        custom_id = f"hubcord:pull:{pull_id}"
        super().__init__(discord.ui.Button(label=_("Cancel"), style=discord.ButtonStyle.secondary, custom_id=custom_id))
        self._pull_id = pull_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Make the button of a message that was sent before."""
        return cls(match["pull"])

    async def on_click(self, interaction: discord.Interaction[Any]) -> None:
        """Stop the download. After a restart nobody changes the message any more, so that is done here."""
        pull = interaction.client.downloads.find(self._pull_id)
        if pull is not None:
            pull.cancel()
            await interaction.response.defer()
            return
        ended = interaction.message.content.split("\n")[:-1] if interaction.message else []
        told = _("The bot was restarted meanwhile. /models pull goes on from there.")
        await interaction.response.edit_message(content="\n".join([*ended, told]), view=None)


def _stop_view(pull: Pull) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(StopButton(pull.id))
    return view


def _last(text: str) -> str:
    """Return the end of a text, as much as a message holds: what happens now stands there."""
    return text if len(text) <= _MESSAGE_CHARS else "…" + text[1 - _MESSAGE_CHARS :]


def pull_progress(pull: Pull) -> str:
    """Return how far a download is."""
    if not pull.total:
        return _("{model}: fetching…", model=escape(pull.reference))
    return _(
        "{model}: {bar} {share}, {done} of {total} MB",
        model=escape(pull.reference),
        bar=steps_bar(pull.done, pull.total),
        share=f"{pull.share:.0%}",
        done=f"{pull.done / 1e6:,.1f}",
        total=f"{pull.total / 1e6:,.1f}",
    )


def _end(pull: Pull) -> str:
    """Return what became of a download; the owner reads why it failed and how to mend that."""
    if pull.error is None:
        return _("{model} is here.", model=escape(pull.shown))
    if isinstance(pull.error, UserError) and "hint" in pull.error.values:
        return escape_keeping_links(str(pull.error.values["hint"]))
    why = escape(str(pull.error)) if isinstance(pull.error, UserError) else unexpected(pull.error)
    return f"{escape(pull.reference)}: {why}"
