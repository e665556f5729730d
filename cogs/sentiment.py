"""Add /sentiment and the message menu "Sentiment"."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.components.autocomplete import model_choices
from bot.components.message_content import text_content
from bot.tasks.sentiment.pipeline import SentimentRequest, SentimentSettings
from bot.tasks.sentiment.view import sentiment_answer


class Sentiment(commands.Cog):
    """Tell the mood of texts."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._settings = bot.settings.task(SentimentSettings)
        self._menu = app_commands.ContextMenu(name="Sentiment", callback=self.sentiment_of_message)
        bot.replies.register("sentiment", sentiment_answer)
        bot.tree.add_command(self._menu)

    async def cog_unload(self) -> None:
        """Take the menu away."""
        self._bot.tree.remove_command(self._menu.name, type=self._menu.type)

    @app_commands.command()
    @app_commands.describe(text="The text to look at", model="The model that looks at it")
    async def sentiment(
        self,
        interaction: discord.Interaction[Bot],
        text: app_commands.Range[str, 1, 4000],
        model: str | None = None,
    ) -> None:
        """Tell whether a text is positive or negative."""
        request = SentimentRequest(model=self._bot.model_defaults.choose(interaction, "sentiment", model), text=text)
        await self._bot.replies.answer(interaction, "sentiment", request)

    @sentiment.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return model_choices(interaction, "sentiment", typed)

    async def sentiment_of_message(self, interaction: discord.Interaction[Bot], message: discord.Message) -> None:
        """Tell the sentiment of the message that was clicked."""
        model = self._bot.model_defaults.choose(interaction, "sentiment", None)
        request = SentimentRequest(model=model, text=text_content(message))
        await self._bot.replies.answer(interaction, "sentiment", request)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Sentiment(bot))
