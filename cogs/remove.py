"""Add the message menu "Remove answer"."""

from __future__ import annotations

import contextlib

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.errors import UserError
from bot.i18n.texts import gettext as _


class Remove(commands.Cog):
    """Take answers away."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._menu = app_commands.ContextMenu(name="Remove answer", callback=self.remove_answer)
        bot.tree.add_command(self._menu)

    async def cog_unload(self) -> None:
        """Take the menu away."""
        self._bot.tree.remove_command(self._menu.name, type=self._menu.type)

    async def remove_answer(self, interaction: discord.Interaction[Bot], message: discord.Message) -> None:
        """Remove one of the bot's messages for the person who asked for it, or for a moderator."""
        if message.author != self._bot.user:
            raise UserError("This is no answer of mine.")
        if not _may_remove(interaction, message):
            raise UserError("Only the person who asked, or a moderator, can remove this.")
        await interaction.response.defer(ephemeral=True, thinking=True)
        try:
            with contextlib.suppress(discord.NotFound):
                await message.delete()
        except discord.Forbidden:
            raise UserError("I may not remove this here. Ask a moderator to do it.") from None
        await interaction.edit_original_response(content=_("Removed."))


def _may_remove(interaction: discord.Interaction[Bot], message: discord.Message) -> bool:
    """Say whether a person may remove an answer; one that came late names its asker at the beginning only."""
    if interaction.guild_id is None or interaction.permissions.manage_messages:
        return True
    asked = message.interaction_metadata
    if asked is not None:
        return asked.user.id == interaction.user.id
    return message.content.startswith(interaction.user.mention)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Remove(bot))
