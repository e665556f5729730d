"""Show what was found in a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import discord

from bot.i18n.texts import gettext as _
from bot.tasks.detect.draw_boxes import Box
from bot.tasks.detect.task import DetectRequest, DetectResult
from bot.ui.answer import Answer, File
from bot.ui.markdown import cut, escape


def detect_answer(request: DetectRequest, result: DetectResult) -> Answer:
    """Return the picture with its boxes, and how many there are of each kind."""
    counted = counts(result.boxes)
    embed = discord.Embed(colour=discord.Colour.blurple(), title=cut(escape(counted), 256) or _("Nothing found"))
    embed.description = _description(request, result)
    embed.set_footer(text=cut(f"{result.model} · {result.width}×{result.height}", 2048))
    if not result.drawn:
        return Answer(embeds=[embed])
    # Discord hides a file behind a spoiler by its name, but no picture of an embed.
    file = File("SPOILER_found.jpg" if request.hidden else "found.jpg", result.drawn, cut(counted, 1024))
    if not request.hidden:
        embed.set_image(url=f"attachment://{file.name}")
    return Answer(embeds=[embed], files=[file])


def counts(boxes: Iterable[Box]) -> str:
    """Return how many there are of each kind, the most frequent first: 2 × dog, 1 × person."""
    kinds = Counter(box.label for box in boxes)
    return ", ".join(f"{count} × {label}" for label, count in kinds.most_common())


def _description(request: DetectRequest, result: DetectResult) -> str | None:
    if not result.boxes:
        return _(
            "There is nothing that the model is at least {least} % sure of. A lower confidence may find more.",
            least=request.confidence,
        )
    if result.found > len(result.boxes):
        return _("The {n} surest of {all}.", n=len(result.boxes), all=result.found)
    return None
