"""Stop jobs whose answer nobody can see any more: its message, channel or server is gone."""

from __future__ import annotations

import discord
from discord.ext import commands

from bot.bot import Bot


class Deletions(commands.Cog):
    """Listen for what is deleted."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    @commands.Cog.listener()
    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        """Stop the job that a message was to answer."""
        self._bot.replies.messages_gone([event.message_id])

    @commands.Cog.listener()
    async def on_raw_bulk_message_delete(self, event: discord.RawBulkMessageDeleteEvent) -> None:
        """Stop the jobs that messages were to answer."""
        self._bot.replies.messages_gone(event.message_ids)

    @commands.Cog.listener()
    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """Stop the jobs of a channel."""
        self._channel_gone(channel.id)

    @commands.Cog.listener()
    async def on_raw_thread_delete(self, event: discord.RawThreadDeleteEvent) -> None:
        """Stop the jobs of a thread."""
        self._channel_gone(event.thread_id)

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Stop the jobs of a server that is gone, or that the bot was removed from."""
        jobs = self._bot.engine.jobs.values()
        self._bot.replies.withdraw([job for job in jobs if job.requester.guild_id == guild.id])

    def _channel_gone(self, channel_id: int) -> None:
        jobs = self._bot.engine.jobs.values()
        self._bot.replies.withdraw([job for job in jobs if job.reply_to and job.reply_to["channel_id"] == channel_id])


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Deletions(bot))
