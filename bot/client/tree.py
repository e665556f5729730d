"""Answer every error of a command, in one place."""

from __future__ import annotations

import contextlib
import logging
import secrets
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from discord import app_commands

from bot.client.refusals import is_transient
from bot.errors import UserError, one_line
from bot.i18n.texts import gettext as _
from bot.i18n.texts import use_locale
from bot.ui.markdown import MOST_CHARS, cut, escape

if TYPE_CHECKING:
    from bot.bot import Bot

log = logging.getLogger(__name__)
NETWORK_ERRORS = (discord.HTTPException, aiohttp.ClientError, OSError)
"""What a request to Discord may raise: its refusals, and what happens on the way."""
_REMEMBERED = 10_000
REFUSED = "refused"
"""Marks an interaction, among its extras, of which no job came, and whose answer would have been for all to see."""
_GONE = {10062, 10015, 10008, 40060, 50027}


class Tree(app_commands.CommandTree["Bot"]):
    """Dispatch commands, each once; tell people about errors privately where Discord still allows it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._seen: dict[int, None] = {}

    async def interaction_check(self, interaction: discord.Interaction[Bot], /) -> bool:
        """Show texts in the person's language from here on. Skip what Discord delivers a second time."""
        use_locale(interaction.locale.value)
        if interaction.id in self._seen:
            log.info("interaction %d came again", interaction.id)
            return False
        self._seen[interaction.id] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return await self._serves(interaction)

    async def _serves(self, interaction: discord.Interaction[Bot]) -> bool:
        """Refuse whom the host blocked, and everybody outside the servers that the host chose, if any."""
        chosen = interaction.client.settings.discord
        if {interaction.user.id, interaction.guild_id} & set(chosen.blocked):
            refusal = UserError("You can't use this bot: its host has blocked you or this server.")
        elif chosen.guilds and interaction.guild_id not in chosen.guilds:
            refusal = UserError("This bot only works in the servers that its host has chosen.")
        else:
            return True
        if interaction.type is discord.InteractionType.autocomplete:
            await _offer_nothing(interaction)
            return False
        await reply_with_error(interaction, refusal)
        return False

    async def _call(self, interaction: discord.Interaction[Bot]) -> None:
        """Run a command, and answer what discord.py stumbles over while it reads one too: it lets that pass unheard."""
        try:
            await super()._call(interaction)
        except app_commands.AppCommandError:
            raise
        except Exception as error:  # noqa: BLE001 - the command tree
            await reply_with_error(interaction, error)

    async def on_error(self, interaction: discord.Interaction[Bot], error: app_commands.AppCommandError, /) -> None:
        """Tell the person what went wrong. While they type there is no way to: Discord takes choices alone."""
        if interaction.type is discord.InteractionType.autocomplete:
            log.warning("no choices could be offered: %s", one_line(error))
            await _offer_nothing(interaction)
            return
        await reply_with_error(interaction, error)


async def reply_with_error(interaction: discord.Interaction[Any], error: Exception) -> None:
    """Answer an interaction with an error: word for word when it is written for people, else a reference."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    if isinstance(cause, discord.HTTPException) and cause.code in _GONE:
        log.warning("an interaction was gone before it could be answered: %s", cause)
        return
    try:
        await _send(interaction, _sentence(cause))
    except NETWORK_ERRORS as failure:
        log.warning("an error couldn't be shown: %s", failure)


def unexpected(error: BaseException) -> str:
    """Log an error in full and return what people see of it."""
    reference = secrets.token_hex(3)
    log.error("reference %s", reference, exc_info=error)
    return _("Something went wrong (reference {reference}).", reference=reference)


def _sentence(error: Exception) -> str:
    if isinstance(error, UserError):
        return cut(escape(str(error)), MOST_CHARS)
    if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        return _("This command has changed. Wait a minute, reload Discord and try again.")
    if isinstance(error, app_commands.MissingPermissions):
        return _("You don't have the permission for this.")
    if isinstance(error, app_commands.CheckFailure):
        return _("You can't use this here.")
    if isinstance(error, aiohttp.ClientError) or (isinstance(error, discord.HTTPException) and is_transient(error)):
        log.warning("Discord has trouble: %s", one_line(error))
        return _("Discord has trouble. Try again in a minute.")
    return unexpected(error)


async def _send(interaction: discord.Interaction[Any], text: str) -> None:
    """Say something privately, whatever was sent before; what went wrong with a job takes the place of its message."""
    if not interaction.response.is_done():
        await interaction.response.send_message(text, ephemeral=True)
        return
    thinking = interaction.response.type is discord.InteractionResponseType.deferred_channel_message
    if thinking and interaction.extras.get(REFUSED):
        await _replace_thinking(interaction, text)
    elif thinking:
        await interaction.edit_original_response(content=text, view=None)
    else:
        await interaction.followup.send(text, ephemeral=True)


async def _offer_nothing(interaction: discord.Interaction[Any]) -> None:
    """Give no choices, so that who types isn't kept waiting for them."""
    with contextlib.suppress(*NETWORK_ERRORS):
        await interaction.response.autocomplete([])


async def _replace_thinking(interaction: discord.Interaction[Any], text: str) -> None:
    """Say something privately, and take the 'thinking' away.

    The first message after a 'thinking' takes its place, however private it is meant, and where there is no 'thinking'
    any more none can be sent (https://github.com/discord/discord-api-docs/issues/3087). So something else stands there
    for a moment.
    """
    await interaction.edit_original_response(content="…")
    await interaction.followup.send(text, ephemeral=True)
    await interaction.delete_original_response()
