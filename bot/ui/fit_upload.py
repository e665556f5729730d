"""Make an answer fit Discord's limits. Runs in a thread: encoding pictures takes a while."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import PurePath

import discord

from bot.i18n.texts import gettext as _
from bot.ui.answer import Answer, File

REQUEST_LIMIT_BYTES = 25 * 1024 * 1024
"""The most that one request may carry, all files together (Discord's reference, "Uploading Files")."""
_ROOM_FOR_TEXT_BYTES = 64 * 1024
_QUALITIES = (92, 80, 60, 40)
_SMALLEST_SHARE = 0.25


def fit(answer: Answer, upload_limit: int) -> Answer:
    """Return the answer with files of at most `upload_limit` bytes each, pictures encoded smaller where needed."""
    if not answer.files:
        return answer
    most = min(upload_limit, (REQUEST_LIMIT_BYTES - _ROOM_FOR_TEXT_BYTES) // len(answer.files))
    files = [file if len(file.data) <= most else _smaller(file, most) for file in answer.files]
    if all(new is old for new, old in zip(files, answer.files, strict=True)):
        return answer
    embeds = _renamed(answer, files)
    note = _("Made smaller to fit this server's upload limit.")
    return replace(answer, files=files, embeds=embeds, text="\n".join(filter(None, (answer.text, f"-# {note}"))))


def _smaller(file: File, most: int) -> File:
    """Return a picture as WebP of at most `most` bytes: first of less quality, then of fewer pixels."""
    from PIL import Image

    with Image.open(io.BytesIO(file.data)) as picture:
        image = picture.convert("RGB")
    share = 1.0
    while share >= _SMALLEST_SHARE:
        size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
        scaled = image if share == 1.0 else image.resize(size, Image.Resampling.LANCZOS)
        for quality in _QUALITIES:
            out = io.BytesIO()
            scaled.save(out, "WEBP", quality=quality)
            if out.tell() <= most:
                return replace(file, name=str(PurePath(file.name).with_suffix(".webp")), data=out.getvalue())
        share /= 2**0.5
    return file


def _renamed(answer: Answer, files: list[File]) -> list[discord.Embed]:
    """Point the embeds at the files' new names."""
    embeds = [embed.copy() for embed in answer.embeds]
    for old, new in zip(answer.files, files, strict=True):
        for embed in embeds:
            if embed.image.url == f"attachment://{old.name}":
                embed.set_image(url=f"attachment://{new.name}")
    return embeds
