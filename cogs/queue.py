"""Add /queue."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.views.queue import queue_embed


class Queue(commands.Cog):
    """Show what the devices do."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    @app_commands.command()
    async def queue(self, interaction: discord.Interaction[Bot]) -> None:
        """Show what runs and waits, and when your jobs start."""
        engine = self._bot.engine
        embed = queue_embed(engine.running(), engine.forecast_now(), interaction.user.id)
        await interaction.response.send_message(embed=embed, ephemeral=True)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Queue(bot))
