"""Add /detect."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.bot import Bot
from bot.components.attachments import picture_request
from bot.components.task_cog import Interaction, TaskCog
from bot.tasks.detect.task import DETECT, MAX_CONFIDENCE, DetectRequest


class Detect(TaskCog, task=DETECT):
    """Find things in pictures."""

    @app_commands.command()
    @app_commands.describe(
        image="The picture to look at",
        confidence="How sure the model must be, in per cent; lower finds more",
        model="The model that looks",
    )
    async def detect(
        self,
        interaction: Interaction,
        image: discord.Attachment,
        confidence: app_commands.Range[int, 1, MAX_CONFIDENCE] | None = None,
        model: str | None = None,
    ) -> None:
        """Find and count what is in a picture."""
        settings, model = interaction.client.settings.of(DETECT), self.model(interaction, model)
        sure = confidence or settings.confidence
        await self.answer(interaction, picture_request(DetectRequest, image, settings, model=model, confidence=sure))


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Detect(bot))
