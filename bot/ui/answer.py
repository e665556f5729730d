"""Define what an answer is made of before it becomes a message."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import discord

from bot.i18n.texts import gettext as _
from bot.ui.markdown import cut

_MOST_CHARS = 1_700
"""What `as_text` returns at most: a mention and a note find room beside it in a message."""


@dataclass(frozen=True, slots=True)
class File:
    """Hold one file to upload. `description` is its alt text."""

    name: str
    data: bytes
    description: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold the text, embeds and files of one message."""

    text: str | None = None
    embeds: Sequence[discord.Embed] = ()
    files: Sequence[File] = field(default=())

    def discord_files(self) -> list[discord.File]:
        """Return the files as discord.py uploads them; each call gives fresh ones, since sending uses them up."""
        return [
            discord.File(io.BytesIO(f.data), filename=f.name, description=f.description or None) for f in self.files
        ]


def as_text(answer: Answer) -> str:
    """Return what an answer says without its files and the frame of its embeds, cut to fit a message."""
    lines = [answer.text, *(line for embed in answer.embeds for line in _lines(embed))]
    return cut("\n".join(filter(None, lines)), _MOST_CHARS)


def in_words(answer: Answer) -> Answer:
    """Return an answer as text for where it may not be shown as it is, with what would have to be allowed."""
    lacking = [*["“Attach Files”"] * bool(answer.files), *["“Embed Links”"] * bool(answer.embeds)]
    if not lacking:
        return answer
    note = _("I can't show all of it here. Ask a moderator to allow me {permissions}.", permissions=", ".join(lacking))
    return Answer(text=f"{as_text(answer)}\n-# {note}")


def _lines(embed: discord.Embed) -> Iterator[str | None]:
    yield f"**{embed.title}**" if embed.title else None
    yield embed.description
    yield from (f"{field.name}: {field.value}" for field in embed.fields)
    yield f"-# {embed.footer.text}" if embed.footer.text else None
