"""Add /translate and the message menu "Translate"."""

from __future__ import annotations

import asyncio
import contextlib

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.components.autocomplete import matching, model_choices
from bot.components.message_content import text_content
from bot.errors import BadInput
from bot.tasks.translate.languages import language_name, own_names, read_language
from bot.tasks.translate.pipeline import TranslateSettings
from bot.tasks.translate.view import translate_answer


class Translate(commands.Cog):
    """Translate texts."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._settings = bot.settings.task(TranslateSettings)
        self._menu = app_commands.ContextMenu(name="Translate", callback=self.translate_message)
        bot.replies.register("translate", translate_answer)
        bot.tree.add_command(self._menu)

    async def cog_unload(self) -> None:
        """Take the menu away."""
        self._bot.tree.remove_command(self._menu.name, type=self._menu.type)

    @app_commands.command()
    @app_commands.rename(source="from")
    @app_commands.describe(
        text="The text to translate",
        to="The language to translate into",
        source="The language of the text; found out when left out",
        model="The model that translates",
    )
    async def translate(
        self,
        interaction: discord.Interaction[Bot],
        text: app_commands.Range[str, 1, 6000],
        to: str,
        source: str | None = None,
        model: str | None = None,
    ) -> None:
        """Translate a text."""
        locale = interaction.locale.value
        request = await asyncio.to_thread(  # languages' names are read from files, some 5 ms for each language
            self._settings.request, text, to=to, source=source, model=model, locale=locale
        )
        await self._bot.replies.answer(interaction, "translate", request)

    @translate.autocomplete("to")
    async def _targets(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        source = _chosen(interaction, "from", self._settings.sources())
        return await _languages(interaction, self._settings.targets(source), typed)

    @translate.autocomplete("source")
    async def _sources(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        to = _chosen(interaction, "to", self._settings.targets())
        return await _languages(interaction, self._settings.sources(to), typed)

    @translate.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return model_choices(interaction, "translate", typed)

    async def translate_message(self, interaction: discord.Interaction[Bot], message: discord.Message) -> None:
        """Translate the clicked message into the reader's language; only the reader sees it."""
        request = self._settings.request(text_content(message), to=interaction.locale.value)
        await self._bot.replies.answer(interaction, "translate", request, private=True)


def _chosen(interaction: discord.Interaction[Bot], option: str, known: tuple[str, ...]) -> str | None:
    """Return the language in another option that is filled in already; None when it is none."""
    with contextlib.suppress(BadInput):
        return read_language(getattr(interaction.namespace, option) or "", interaction.locale.value, known)
    return None


async def _languages(
    interaction: discord.Interaction[Bot], codes: tuple[str, ...], typed: str
) -> list[app_commands.Choice[str]]:
    """Offer languages by what the reader calls them; where that finds none, by what they call themselves."""
    locale = interaction.locale.value
    if found := matching(((language_name(code, locale), code) for code in codes), typed):
        return found
    own, wanted = await asyncio.to_thread(own_names, codes), typed.strip().casefold()
    meant = [code for name, code in own.items() if wanted in name]
    with contextlib.suppress(BadInput):
        meant = meant or [read_language(typed, locale, codes)]  # zh-TW
    return matching(((language_name(code, locale), code) for code in meant if code in codes), "")


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Translate(bot))
