"""Show commands in Discord's own menus in the languages that there are catalogues for."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands
from discord.app_commands import TranslationContextLocation

from bot.i18n.texts import in_language

_MOST_CHARS = {TranslationContextLocation.command_name: 32}
_DESCRIPTION_CHARS = 100


class CommandTexts(app_commands.Translator):
    """Translate descriptions and the names of message menus; what is typed after a slash is the same everywhere."""

    async def translate(
        self,
        string: app_commands.locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContext[Any, Any],
    ) -> str | None:
        """Return a translation as long as Discord takes it; None where there is none."""
        if _is_typed(context):
            return None
        text = in_language(string.message, locale.value)
        return text and text[: _MOST_CHARS.get(context.location, _DESCRIPTION_CHARS)]


def _is_typed(context: app_commands.TranslationContext[Any, Any]) -> bool:
    match context.location:
        case TranslationContextLocation.command_name:
            return not isinstance(context.data, app_commands.ContextMenu)
        case TranslationContextLocation.group_name | TranslationContextLocation.parameter_name:
            return True
        case _:
            return False
