"""Add /classify and the message menu "Classify image"."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.errors import BadInput
from bot.inference.pipelines.classify import MAX_TOP, ClassifyRequest, ClassifySettings
from bot.tree import TROUBLE
from bot.views.classify import classify_answer
from bot.views.models import model_choices


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
    @app_commands.describe(image="The picture to look at", top="How many labels to show", model="The model that looks")
    async def classify(
        self,
        interaction: discord.Interaction[Bot],
        image: discord.Attachment,
        top: app_commands.Range[int, 1, MAX_TOP] = 5,
        model: str | None = None,
    ) -> None:
        """Name what a picture shows."""
        request = self._read(image, self._bot.defaults.choose(interaction, "classify", model), top)
        await self._bot.replies.answer(interaction, "classify", request)

    @classify.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return model_choices(interaction, "classify", typed)

    async def classify_message(self, interaction: discord.Interaction[Bot], message: discord.Message) -> None:
        """Name what the first picture of the clicked message shows."""
        pictures = [a for a in message.attachments if (a.content_type or "image").startswith("image")]
        if not pictures:
            raise BadInput("This message has no picture attached.")
        request = self._read(pictures[0], self._bot.defaults.choose(interaction, "classify", None), 5)
        await self._bot.replies.answer(interaction, "classify", request)

    async def _read(self, image: discord.Attachment, model: str, top: int) -> ClassifyRequest:
        """Download a picture; its size is checked before, its content later, in the worker."""
        if image.size > self._settings.max_bytes:
            raise BadInput(
                "This file is too large. Send a picture of at most {limit:.0f} MB.",
                limit=self._settings.max_bytes / 1e6,
            )
        try:
            data = await image.read()
        except TROUBLE:
            raise BadInput("Discord didn't hand over this picture. Send it again.") from None
        return ClassifyRequest(model=model, image=data, top=top, hidden=image.is_spoiler())


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Classify(bot))
