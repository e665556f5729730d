"""Add /queue."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.components.job_menu import send_queue


class Queue(commands.Cog):
    """Show what the devices do."""

    @app_commands.command()
    async def queue(self, interaction: discord.Interaction[Bot]) -> None:
        """Show what runs and waits, and when your jobs start."""
        await send_queue(interaction)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Queue())
