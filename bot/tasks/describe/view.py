"""Show what a picture shows, in words."""

from __future__ import annotations

import discord

from bot.i18n.texts import gettext as _
from bot.tasks.describe.task import DescribeRequest, DescribeResult
from bot.ui.answer import Answer, File
from bot.ui.markdown import cut, escape

_MOST_CHARS = 2000


def describe_answer(request: DescribeRequest, result: DescribeResult) -> Answer:
    """Return the words, and the picture as thumbnail: Discord hides none behind a spoiler."""
    text = cut(result.text, _MOST_CHARS) or _("The model has no words for this picture.")
    embed = discord.Embed(description=escape(text), colour=discord.Colour.blurple())
    embed.set_footer(text=cut(result.model, 2048))
    if request.hidden or not result.thumbnail:
        return Answer(embeds=[embed])
    embed.set_thumbnail(url="attachment://picture.png")
    return Answer(embeds=[embed], files=[File("picture.png", result.thumbnail, cut(text, 1024))])
