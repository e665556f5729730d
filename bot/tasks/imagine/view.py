"""Show pictures with what they were made of."""

from __future__ import annotations

import discord

from bot.i18n.texts import gettext as _
from bot.tasks.imagine.task import ImagineRequest, ImagineResult, Picture
from bot.ui.answer import Answer, File
from bot.ui.markdown import cut, escape, quote

_ALT_CHARS = 1024


def imagine_answer(_request: ImagineRequest, result: ImagineResult) -> Answer:
    """Return the pictures, and an embed with everything that makes them again."""
    kept = [picture for picture in result.pictures if not picture.withheld]
    files = [File(f"picture-{p.seed}.png", p.png, _alt_text(result, p)) for p in kept]
    embed = discord.Embed(description=_description(result), colour=discord.Colour.blurple())
    seeds = ", ".join(str(picture.seed) for picture in result.pictures)
    embed.add_field(name=_("Seed") if len(result.pictures) == 1 else _("Seeds"), value=seeds)
    embed.add_field(name=_("Steps"), value=str(result.steps))
    if result.guidance is not None:
        embed.add_field(name=_("Guidance"), value=f"{result.guidance:g}")
    if result.scheduler:
        embed.add_field(name=_("Scheduler"), value=escape(result.scheduler))
    embed.add_field(name=_("Size"), value=f"{result.width}×{result.height}")
    embed.add_field(name=_("Time"), value=_("{seconds} s", seconds=f"{result.seconds:.1f}"))
    embed.set_footer(text=cut(result.model, 2048))
    if len(files) == 1:
        embed.set_image(url=f"attachment://{files[0].name}")
    return Answer(embeds=[embed], files=files)


def _description(result: ImagineResult) -> str:
    lines = [quote(result.prompt, 1000)]
    if result.negative:
        lines.append(_("Without: {negative}", negative=escape(cut(result.negative, 500))))
    if result.loras:
        lines.append(_("With: {adapters}", adapters=escape(", ".join(map(str, result.loras)))))
    withheld = sum(picture.withheld for picture in result.pictures)
    if withheld:
        lines.append(
            _(
                "The model's safety check withheld {n} of {all} pictures.",
                n=withheld,
                all=len(result.pictures),
            )
        )
    if result.note:
        lines.append(f"-# {escape(result.note)}")
    return "\n".join(lines)


def _alt_text(result: ImagineResult, picture: Picture) -> str:
    made = _("A picture made by {model} from the prompt: {prompt}", model=result.model, prompt=result.prompt)
    return cut(picture.caption or made, _ALT_CHARS)
