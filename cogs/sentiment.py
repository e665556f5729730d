"""Add /sentiment and the message menu "Sentiment"."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.bot import Bot
from bot.components.message_content import text_content
from bot.components.task_cog import Interaction, TaskCog, message_menu
from bot.tasks.sentiment.task import SENTIMENT, SentimentRequest


class Sentiment(TaskCog, task=SENTIMENT):
    """Tell the mood of texts."""

    @app_commands.command()
    @app_commands.describe(text="The text to look at", model="The model that looks at it")
    async def sentiment(
        self, interaction: Interaction, text: app_commands.Range[str, 1, 4000], model: str | None = None
    ) -> None:
        """Tell whether a text is positive or negative."""
        await self.answer(interaction, SentimentRequest(model=self.model(interaction, model), text=text))

    @message_menu("Sentiment")
    async def sentiment_of_message(self, interaction: Interaction, message: discord.Message) -> None:
        """Tell the sentiment of the message that was clicked."""
        await self.answer(interaction, SentimentRequest(model=self.model(interaction), text=text_content(message)))


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Sentiment(bot))
