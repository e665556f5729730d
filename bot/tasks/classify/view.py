"""Show what is in a picture."""

from __future__ import annotations

import discord

from bot.tasks.classify.task import ClassifyRequest, ClassifyResult
from bot.ui.answer import Answer, File
from bot.ui.markdown import cut, escape, score_line


def classify_answer(request: ClassifyRequest, result: ClassifyResult) -> Answer:
    """Return the labels with bars, and the picture as thumbnail: Discord hides none behind a spoiler."""
    best = result.labels[0]
    embed = discord.Embed(
        title=cut(f"{escape(best.label)} · {best.score:.1%}", 256),
        description="\n".join(score_line(label.label, label.score) for label in result.labels),
        colour=discord.Colour.blurple(),
    )
    embed.set_footer(text=cut(f"{result.model} · {result.width}×{result.height}", 2048))
    if request.hidden or not result.thumbnail:
        return Answer(embeds=[embed])
    embed.set_thumbnail(url="attachment://picture.png")
    return Answer(embeds=[embed], files=[File("picture.png", result.thumbnail, cut(best.label, 1024))])
