"""Add /classify and the message menu "Classify image"."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.components.attachments import picture_request
from bot.components.autocomplete import model_choices
from bot.components.message_content import first_image
from bot.tasks.classify.pipeline import MAX_TOP, ClassifyRequest, ClassifySettings, read_labels
from bot.tasks.classify.view import classify_answer


class Classify(commands.Cog):
    """Name what pictures show."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._settings = bot.settings.task(ClassifySettings)
        self._menu = app_commands.ContextMenu(name="Classify image", callback=self.classify_message)
        bot.replies.register("classify", classify_answer)
        bot.tree.add_command(self._menu)

    async def cog_unload(self) -> None:
        """Take the menu away."""
        self._bot.tree.remove_command(self._menu.name, type=self._menu.type)

    @app_commands.command()
    @app_commands.describe(
        image="The picture to look at",
        top="How many labels to show",
        labels="Labels of your own to choose from: a cat, a dog, a red car",
        model="The model that looks",
    )
    async def classify(
        self,
        interaction: discord.Interaction[Bot],
        image: discord.Attachment,
        top: app_commands.Range[int, 1, MAX_TOP] | None = None,
        labels: str = "",
        model: str | None = None,
    ) -> None:
        """Name what a picture shows."""
        own = read_labels(labels)
        name = model or (None if own else self._bot.model_defaults.here(interaction, "classify"))
        request = picture_request(
            ClassifyRequest,
            image,
            self._settings,
            model=self._settings.choose_for(own, name),
            top=top or min(len(own), MAX_TOP) or 5,
            labels=own,
        )
        await self._bot.replies.answer(interaction, "classify", request)

    @classify.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return model_choices(interaction, "classify", typed)

    async def classify_message(self, interaction: discord.Interaction[Bot], message: discord.Message) -> None:
        """Name what the first picture of the clicked message shows."""
        chosen = self._bot.model_defaults.choose(interaction, "classify", None)
        request = picture_request(ClassifyRequest, first_image(interaction, message), self._settings, model=chosen)
        await self._bot.replies.answer(interaction, "classify", request)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Classify(bot))
