"""Show what is known of one model."""

from __future__ import annotations

import re

import discord

from bot.hub.cards import Card
from bot.hub.reference import shown_model
from bot.i18n.texts import gettext as _
from bot.ui.markdown import cut, escape

_FIELD_CHARS, _SECTION_CHARS = 1024, 700
_HUB = "https://huggingface.co/"
_HEADING = re.compile(r"^#+\s*(.+?)\s*$", re.MULTILINE)
_USE = re.compile(r"\b(use|uses|usage)\b", re.IGNORECASE)
_LIMITS = re.compile(r"\b(limit|limits|limitations?|bias|biases|risks?)\b", re.IGNORECASE)


def card_embed(card: Card) -> discord.Embed:
    """Return the card of a model or an adapter: licence, size, what it is for and what it can't do."""
    embed = discord.Embed(title=cut(shown_model(card.name, card.revision), 256), colour=discord.Colour.blurple())
    embed.url = card.page if card.page.startswith(_HUB) else None  # a mirror's address is the host's own business
    embed.description = escape(cut(_first_words(card.text), _SECTION_CHARS)) or None
    for name, value in _facts(card).items():
        if value:
            embed.add_field(name=name, value=escape(cut(value, 200)))
    for name, words in ((_("Use"), _USE), (_("Limits"), _LIMITS)):
        if section := section_about(card.text, words):
            embed.add_field(name=name, value=cut(escape(cut(section, _SECTION_CHARS)), _FIELD_CHARS), inline=False)
    if not card.cached and not card.trouble:
        embed.set_footer(text=_("It is fetched when it is first used."))
    return embed


def _facts(card: Card) -> dict[str, str]:
    return {
        _("Licence"): card.licence,
        _("Languages"): ", ".join(card.languages[:20]),
        _("Parameters"): f"{card.weights.count / 1e6:.1f} M" if card.weights.count else "",
        _("Kind"): card.kind,
        _("Base model"): ", ".join(card.base_models),
        _("Trigger words"): card.trigger,
    }


def section_about(text: str, words: re.Pattern[str]) -> str:
    """Return the text below the first heading of a model card that has one of the words; empty when none has."""
    parts = _HEADING.split(text)
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        if words.search(heading) and body.strip():
            return str(body.strip())
    return ""


def _first_words(text: str) -> str:
    """Return the first paragraph of a model card that is neither a heading, a table, a picture nor HTML."""
    blocks = (block.strip() for block in re.split(r"\n\s*\n", text))
    prose = (" ".join(block.split()) for block in blocks if block and block[0] not in "#|<![`-*")
    return next(prose, "")
