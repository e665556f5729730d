"""Add /describe and the message menu "Describe image"."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.bot import Bot
from bot.components.attachments import picture_request
from bot.components.message_content import first_image
from bot.components.task_cog import Interaction, TaskCog, message_menu
from bot.tasks.describe.task import DESCRIBE, DescribeRequest


class Describe(TaskCog, task=DESCRIBE):
    """Say in words what pictures show."""

    def __init__(self, bot: Bot) -> None:
        super().__init__(bot)
        self._settings = bot.settings.of(DESCRIBE)

    @app_commands.command()
    @app_commands.describe(image="The picture to look at", model="The model that looks")
    async def describe(self, interaction: Interaction, image: discord.Attachment, model: str | None = None) -> None:
        """Say in words what a picture shows."""
        chosen = self.model(interaction, model)
        await self.answer(interaction, picture_request(DescribeRequest, image, self._settings, model=chosen))

    @message_menu("Describe image")
    async def describe_message(self, interaction: Interaction, message: discord.Message) -> None:
        """Say what the first picture of the clicked message shows; only the reader sees it."""
        image, model = first_image(interaction, message), self.model(interaction)
        request = picture_request(DescribeRequest, image, self._settings, model=model)
        await self.answer(interaction, request, private=True)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Describe(bot))
