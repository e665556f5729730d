"""Read the message that a message menu was used on, or the one that it forwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import discord

from bot.components.attachments import Picture
from bot.errors import BadInput


@dataclass(frozen=True, slots=True)
class EmbeddedPicture:
    """Hold the picture of an embed by its address at Discord's own proxy. Its size isn't known before."""

    client: discord.Client
    address: str
    size: int = 0

    def is_spoiler(self) -> bool:
        """Return False: embeds hide nothing."""
        return False

    async def read(self) -> bytes:
        """Download the picture."""
        return await self.client.http.get_from_cdn(self.address)


def first_image(interaction: discord.Interaction, message: discord.Message) -> Picture:
    """Return the first picture of a message, attached or in an embed; raise BadInput when it has none.

    What an embed shows of a message's own files isn't among its attachments, like the pictures of /imagine.
    """
    for part in _parts(message):
        for attachment in part.attachments:
            if (attachment.content_type or "image").startswith("image"):
                return attachment
        for embed in part.embeds:
            if address := embed.image.proxy_url or embed.thumbnail.proxy_url:
                return EmbeddedPicture(interaction.client, address)
    raise BadInput("This message has no picture.")


def text_content(message: discord.Message) -> str:
    """Return the text of a message, or else of its embeds; raise BadInput when it has none."""
    for part in _parts(message):
        for text in (part.content, "\n\n".join(line for embed in part.embeds for line in _lines(embed))):
            if text.strip():
                return text
    raise BadInput("This message has no text.")


def _lines(embed: discord.Embed) -> Iterator[str]:
    yield from filter(None, (embed.title, embed.description))
    yield from (f"{field.name}\n{field.value}" for field in embed.fields)


def _parts(message: discord.Message) -> Sequence[discord.Message | discord.MessageSnapshot]:
    """Return a message and what it forwards; one that forwards says nothing itself."""
    return [message, *message.message_snapshots]
