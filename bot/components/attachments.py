"""Read the pictures that people attach."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, TypeVar

from bot.client.tree import NETWORK_ERRORS
from bot.errors import BadInput
from bot.tasks.picture import PictureRequest, PictureSettings

_DOWNLOAD_S = 60.0
Asked = TypeVar("Asked", bound=PictureRequest)


class Picture(Protocol):
    """Be a picture in Discord, like an attachment."""

    @property
    def size(self) -> int:
        """Return its bytes as a file; 0 while that isn't known."""
        ...

    def is_spoiler(self) -> bool:
        """Say whether it is hidden until a reader wants to see it."""
        ...

    async def read(self) -> bytes:
        """Download it."""
        ...


async def picture_request(kind: type[Asked], image: Picture, settings: PictureSettings, **options: Any) -> Asked:
    """Download a picture and return the request about it; raise BadInput.

    Its size is checked before, how it begins before it waits in line, and the rest later, in the worker.
    """
    settings.check_bytes(image.size)
    try:
        async with asyncio.timeout(_DOWNLOAD_S):  # discord.py waits for five minutes
            data = await image.read()
    except NETWORK_ERRORS:
        raise BadInput("Discord didn't hand over this picture. Send it again.") from None
    return kind(image=data, hidden=image.is_spoiler(), **options)
