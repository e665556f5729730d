"""Share what the tasks have in common that look at a picture: the request's file, its limits, a small copy of it."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import Field

from bot.errors import BadInput
from bot.tasks.base import Request
from bot.tasks.images.decode import check_is_picture
from bot.tasks.settings import ModelSettings

_THUMBNAIL_PIXELS = 160
_GAP = 2.0
"""How much larger than wanted a picture is when the fast way of making it smaller ends (Pillow's `thumbnail`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRequest(Request):
    """Ask something about a picture, given as the bytes of an image file.

    A picture behind a spoiler is `hidden`: the answer doesn't show it openly.
    """

    image: bytes
    hidden: bool = False

    def __post_init__(self) -> None:
        if not self.image:
            raise BadInput("This file is empty.")

    def without_input(self) -> Self:
        """Return the request with one byte in place of the file."""
        return replace(self, image=b"-")

    @property
    def input_bytes(self) -> int:
        """Return the size of the file."""
        return len(self.image)


class PictureSettings(ModelSettings):
    """Set up a task for pictures. One may have `max_bytes` as a file and `max_pixels` when unpacked."""

    max_bytes: int = Field(default=20_000_000, ge=1_000)
    max_pixels: int = Field(default=50_000_000, ge=1_000)

    def check(self, request: Any) -> None:
        """Raise BadInput when the file is too large, or clearly no picture."""
        self.check_bytes(len(request.image))
        check_is_picture(request.image)

    def check_bytes(self, size_bytes: int) -> None:
        """Raise BadInput when a file of this size is too large."""
        if size_bytes > self.max_bytes:
            raise BadInput(
                "This file is too large. Send a picture of at most {limit:.0f} MB.",
                limit=self.max_bytes / 1e6,
            )


def thumbnail(image: Any) -> bytes:
    """Return a small copy of a PIL image as a PNG file."""
    longer = max(image.size)
    size = [max(1, round(side * min(1, _THUMBNAIL_PIXELS / longer))) for side in image.size]
    file = io.BytesIO()
    image.resize(size, reducing_gap=_GAP).save(file, "PNG", compress_level=1)
    return file.getvalue()
