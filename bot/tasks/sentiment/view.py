"""Show the sentiment of a text."""

from __future__ import annotations

import discord

from bot.i18n.texts import gettext as _
from bot.tasks.sentiment.task import SentimentRequest, SentimentResult
from bot.ui.answer import Answer
from bot.ui.markdown import cut, escape, quote, score_line

_MOST_LABELS = 15
_GOOD, _BAD = discord.Colour.green(), discord.Colour.red()
_COLOURS = {"positive": _GOOD, "pos": _GOOD, "negative": _BAD, "neg": _BAD}


def sentiment_answer(request: SentimentRequest, result: SentimentResult) -> Answer:
    """Return the label, the confidence and all scores as bars."""
    lines = [score_line(label, score) for label, score in list(result.scores.items())[:_MOST_LABELS]]
    embed = discord.Embed(
        title=cut(f"{escape(result.label)} · {result.score:.1%}", 256),
        description="\n".join([quote(request.text), "", *lines]),
        colour=_COLOURS.get(result.label.lower(), discord.Colour.light_grey()),
    )
    footer = result.model
    if result.truncated:
        footer = _("{model} · only the beginning of this long text was read", model=result.model)
    embed.set_footer(text=cut(footer, 2048))
    return Answer(embeds=[embed])
