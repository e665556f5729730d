"""Add /translate and the message menu "Translate"."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import discord
from discord import app_commands

from bot.bot import Bot
from bot.components.autocomplete import matching
from bot.components.message_content import text_content
from bot.components.task_cog import Interaction, TaskCog, message_menu
from bot.errors import BadInput
from bot.tasks.translate.languages import language_name, own_names, read_language
from bot.tasks.translate.task import TRANSLATE, TranslateRequest


class Translate(TaskCog, task=TRANSLATE):
    """Translate texts."""

    def __init__(self, bot: Bot) -> None:
        super().__init__(bot)
        self._settings = bot.settings.of(TRANSLATE)

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
        interaction: Interaction,
        text: app_commands.Range[str, 1, 6000],
        to: str,
        source: str | None = None,
        model: str | None = None,
    ) -> None:
        """Translate a text."""
        await self.answer(interaction, self._request(interaction, text, to=to, source=source, model=model))

    @translate.autocomplete("to")
    async def _targets(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        source = _chosen(interaction, "from", self._settings.sources())
        return await _languages(interaction, self._settings.targets(source), typed)

    @translate.autocomplete("source")
    async def _sources(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        to = _chosen(interaction, "to", self._settings.targets())
        return await _languages(interaction, self._settings.sources(to), typed)

    @message_menu("Translate")
    async def translate_message(self, interaction: Interaction, message: discord.Message) -> None:
        """Translate the clicked message into the reader's language; only the reader sees it."""
        request = self._request(interaction, text_content(message), to=interaction.locale.value)
        await self.answer(interaction, request, private=True)

    async def _request(self, interaction: Interaction, text: str, **options: Any) -> TranslateRequest:
        """Build a request in a thread: names of languages are read from files, some 5 ms for each language."""
        return await asyncio.to_thread(self._settings.request, text, locale=interaction.locale.value, **options)


def _chosen(interaction: Interaction, option: str, known: tuple[str, ...]) -> str | None:
    """Return the language in another option that is filled in already; None when it is none."""
    with contextlib.suppress(BadInput):
        return read_language(getattr(interaction.namespace, option) or "", interaction.locale.value, known)
    return None


async def _languages(interaction: Interaction, codes: tuple[str, ...], typed: str) -> list[app_commands.Choice[str]]:
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
