"""Add /classify and the message menu "Classify image"."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.bot import Bot
from bot.components.attachments import picture_request
from bot.components.message_content import first_image
from bot.components.task_cog import Interaction, TaskCog, message_menu
from bot.tasks.classify.task import CLASSIFY, MAX_TOP, ClassifyRequest, read_labels


class Classify(TaskCog, task=CLASSIFY):
    """Name what pictures show."""

    def __init__(self, bot: Bot) -> None:
        super().__init__(bot)
        self._settings = bot.settings.of(CLASSIFY)

    @app_commands.command()
    @app_commands.describe(
        image="The picture to look at",
        top="How many labels to show",
        labels="Labels of your own to choose from: a cat, a dog, a red car",
        model="The model that looks",
    )
    async def classify(
        self,
        interaction: Interaction,
        image: discord.Attachment,
        top: app_commands.Range[int, 1, MAX_TOP] | None = None,
        labels: str = "",
        model: str | None = None,
    ) -> None:
        """Name what a picture shows."""
        own = read_labels(labels)
        name = model or (None if own else self.model(interaction))
        request = picture_request(
            ClassifyRequest,
            image,
            self._settings,
            model=self._settings.choose_for(own, name),
            top=top or min(len(own), MAX_TOP) or 5,
            labels=own,
        )
        await self.answer(interaction, request)

    @message_menu("Classify image")
    async def classify_message(self, interaction: Interaction, message: discord.Message) -> None:
        """Name what the first picture of the clicked message shows."""
        image, model = first_image(interaction, message), self.model(interaction)
        await self.answer(interaction, picture_request(ClassifyRequest, image, self._settings, model=model))


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Classify(bot))
