"""Add /help."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.i18n.texts import gettext as _


class Help(commands.Cog):
    """Explain the commands."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    @app_commands.command()
    async def help(self, interaction: discord.Interaction[Bot]) -> None:
        """Show what this bot can do."""
        tree = self._bot.tree
        slash = tree.get_commands(type=discord.AppCommandType.chat_input)
        menus = tree.get_commands(type=discord.AppCommandType.message)
        lines = [f"**/{command.name}** · {_(command.description)}" for command in slash]
        embed = discord.Embed(title=_("What I can do"), description="\n".join(lines), colour=discord.Colour.blurple())
        apps = ", ".join(f"**{_(menu.name)}**" for menu in menus)
        embed.add_field(name=_("On a message: right-click, then Apps"), value=apps, inline=False)
        await interaction.response.send_message(embed=embed, ephemeral=True)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Help(bot))
