"""Tell whoever owns the bot what only they can mend."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

import discord

from bot.client.tree import NETWORK_ERRORS
from bot.errors import ModelUnavailable
from bot.i18n.texts import gettext as _
from bot.i18n.texts import use_locale
from bot.machine.background import BackgroundTasks
from bot.ui.markdown import cut, escape_keeping_links

if TYPE_CHECKING:
    from bot.bot import Bot

log = logging.getLogger(__name__)
_KEPT = "told owners"
_MESSAGE_CHARS = 2000
_MAY_MANAGE = (discord.TeamMemberRole.admin, discord.TeamMemberRole.developer)


def owners_of(application: discord.AppInfo) -> set[int]:
    """Return the ids of who owns an application; of a team its owner, admins and developers, as they may run it."""
    team = application.team
    if team is None:
        return {application.owner.id}
    return {member.id for member in team.members if member.role in _MAY_MANAGE or member.id == team.owner_id}


class OwnerAlerts:
    """Write to the owners of the bot by direct message. Each reason why a model can't be had is told once."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._told: dict[str, str] = {}
        self._background = BackgroundTasks()

    async def load(self) -> None:
        """Read what was told before; raise UserError when the store can't be read."""
        self._told = await self._bot.store.get_value(_KEPT) or {}

    def notify_unavailable(self, error: Exception | None) -> None:
        """Tell in the background why a model can't be had that members asked for, if it is news."""
        if not isinstance(error, ModelUnavailable) or "reference" not in error.values:
            return
        reference, reason = error.values["reference"], error.values["reason"]
        if self._told.get(reference) != reason:
            self._note({**self._told, reference: reason})
            self._background.spawn(self._tell(reference, str(error.values["hint"])), name="tell owners")

    async def write(self, owner: int, text: str) -> bool:
        """Send a message to one owner; return False when another try may help. What goes wrong is in the log."""
        try:
            channel = await self._bot.create_dm(discord.Object(owner))
            await channel.send(cut(text, _MESSAGE_CHARS), allowed_mentions=discord.AllowedMentions.none())
        except NETWORK_ERRORS as error:
            log.warning("owner %s of the bot can't be told: %s", owner, error)
            return isinstance(error, discord.HTTPException) and error.status < 500
        return True

    async def close(self) -> None:
        """Stop telling."""
        await self._background.close()

    async def _tell(self, reference: str, hint: str) -> None:
        use_locale("en")  # the one of whoever asked is here else
        text = "\n".join([_("Members asked for a model that isn't available:"), escape_keeping_links(_as_list(hint))])
        owners: Collection[int] = self._bot.owner_ids or ()
        if not any([await self.write(owner, text) for owner in owners]):
            self._note({known: reason for known, reason in self._told.items() if known != reference})

    def _note(self, told: dict[str, str]) -> None:
        self._told = told
        self._bot.store.set_value(_KEPT, told)


def _as_list(hint: str) -> str:
    """Return a hint with each of its two steps on a line of its own."""
    return hint.replace(" 1. ", "\n1. ", 1).replace(" 2. ", "\n2. ", 1)
