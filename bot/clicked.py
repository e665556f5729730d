"""Read the message that a message menu was used on, or the one that it forwards."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.errors import BadInput


def first_picture(message: discord.Message) -> discord.Attachment:
    """Return the first picture of a message; raise BadInput when it has none."""
    for part in _parts(message):
        for attachment in part.attachments:
            if (attachment.content_type or "image").startswith("image"):
                return attachment
    raise BadInput("This message has no picture attached.")


def text_of(message: discord.Message) -> str:
    """Return the text of a message; raise BadInput when it has none."""
    for part in _parts(message):
        if part.content.strip():
            return part.content
    raise BadInput("This message has no text.")


def _parts(message: discord.Message) -> Sequence[discord.Message | discord.MessageSnapshot]:
    """Return a message and what it forwards; one that forwards says nothing itself."""
    return [message, *message.message_snapshots]
