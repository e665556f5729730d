"""Add /describe and the message menu "Describe image"."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.components.attachments import picture_request
from bot.components.autocomplete import model_choices
from bot.components.message_content import first_image
from bot.tasks.describe.pipeline import DescribeRequest, DescribeSettings
from bot.tasks.describe.view import describe_answer


class Describe(commands.Cog):
    """Say in words what pictures show."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._settings = bot.settings.task(DescribeSettings)
        self._menu = app_commands.ContextMenu(name="Describe image", callback=self.describe_message)
        bot.replies.register("describe", describe_answer)
        bot.tree.add_command(self._menu)

    async def cog_unload(self) -> None:
        """Take the menu away."""
        self._bot.tree.remove_command(self._menu.name, type=self._menu.type)

    @app_commands.command()
    @app_commands.describe(image="The picture to look at", model="The model that looks")
    async def describe(
        self, interaction: discord.Interaction[Bot], image: discord.Attachment, model: str | None = None
    ) -> None:
        """Say in words what a picture shows."""
        chosen = self._bot.model_defaults.choose(interaction, "describe", model)
        request = picture_request(DescribeRequest, image, self._settings, model=chosen)
        await self._bot.replies.answer(interaction, "describe", request)

    @describe.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return model_choices(interaction, "describe", typed)

    async def describe_message(self, interaction: discord.Interaction[Bot], message: discord.Message) -> None:
        """Say what the first picture of the clicked message shows; only the reader sees it."""
        chosen = self._bot.model_defaults.choose(interaction, "describe", None)
        request = picture_request(DescribeRequest, first_image(interaction, message), self._settings, model=chosen)
        await self._bot.replies.answer(interaction, "describe", request, private=True)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Describe(bot))
