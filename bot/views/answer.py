"""Define what an answer is made of before it becomes a message."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import discord


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
