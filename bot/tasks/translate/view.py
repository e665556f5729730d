"""Show a translation."""

from __future__ import annotations

import discord

from bot.i18n.texts import gettext as _
from bot.tasks.translate.languages import language_name
from bot.tasks.translate.task import TranslateRequest, TranslateResult
from bot.ui.answer import Answer, File
from bot.ui.markdown import cut, escape_keeping_links, has_spoiler, quote, spoiler

_MOST_CHARS = 4096


def translate_answer(request: TranslateRequest, result: TranslateResult) -> Answer:
    """Return the translation below a line of the original, hidden if a part of that was; a long one comes as a file."""
    way, hidden = _way(result), has_spoiler(request.text)
    text = f"{quote(request.text, 120)}\n\n{spoiler(result.text) if hidden else escape_keeping_links(result.text)}"
    files = []
    if len(text) > _MOST_CHARS:
        note, end = _("The whole translation is in the file."), " ||" if hidden else ""
        text = f"{cut(text, _MOST_CHARS - len(note) - 8 - len(end))}{end}\n\n-# {note}"
        files = [File("SPOILER_translation.txt" if hidden else "translation.txt", result.text.encode())]
    embed = discord.Embed(title=cut(way, 256), description=text, colour=discord.Colour.blurple())
    embed.set_footer(text=cut(result.model, 2048))
    return Answer(embeds=[embed], files=files)


def _way(result: TranslateResult) -> str:
    """Say from which language into which a text was translated, and how."""
    way = f"{language_name(result.source)} → {language_name(result.to)}"
    match result.detected, result.through:
        case False, None:
            return way
        case True, None:
            return _("{way} (detected)", way=way)
        case False, through:
            return _("{way} (through {through})", way=way, through=language_name(through))
        case _, through:
            return _("{way} (detected, through {through})", way=way, through=language_name(through))
