"""Add /detect."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.components.attachments import picture_request
from bot.components.autocomplete import model_choices
from bot.tasks.detect.pipeline import MAX_CONFIDENCE, DetectRequest, DetectSettings
from bot.tasks.detect.view import detect_answer


class Detect(commands.Cog):
    """Find things in pictures."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._settings = bot.settings.task(DetectSettings)
        bot.replies.register("detect", detect_answer)

    @app_commands.command()
    @app_commands.describe(
        image="The picture to look at",
        confidence="How sure the model must be, in per cent; lower finds more",
        model="The model that looks",
    )
    async def detect(
        self,
        interaction: discord.Interaction[Bot],
        image: discord.Attachment,
        confidence: app_commands.Range[int, 1, MAX_CONFIDENCE] | None = None,
        model: str | None = None,
    ) -> None:
        """Find and count what is in a picture."""
        request = picture_request(
            DetectRequest,
            image,
            self._settings,
            model=self._bot.model_defaults.choose(interaction, "detect", model),
            confidence=confidence or self._settings.confidence,
        )
        await self._bot.replies.answer(interaction, "detect", request)

    @detect.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return model_choices(interaction, "detect", typed)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Detect(bot))
