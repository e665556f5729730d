"""Decode pictures from strangers with Pillow. `bot.tasks.images.decoder` does it in a process of its own."""

from __future__ import annotations

import io
import re
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.errors import BadInput
from bot.tasks.images.colours import as_seen
from bot.tasks.images.frames import visible_frame
from bot.tasks.images.repair import is_truncated, lacks_its_end, repaired
from bot.tasks.images.scans import has_too_many_scans

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_JPEG = ("JPEG", "MPO")
"""A JPEG with more pictures in it, as some telephones make, is MPO for Pillow."""
_FORMATS_SHOWN = "PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF"
_MOST_RATIO = 100
"""Largest aspect ratio. Beyond it, resizing leaves nothing of the short side, or needs gigabytes for the long one."""
_SHORTEST = 1536
"""Least longer side of a JPEG that is made smaller while it is decoded, by 2, 4 or 8: that takes no time."""
DAMAGED = (
    OSError, RuntimeError, ValueError, SyntaxError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError,
    struct.error,
)  # fmt: skip
"""What Pillow raises for a damaged file."""
_BEGINNINGS = re.compile(
    rb"\x89PNG|\xff\xd8\xff|GIF8|BM|II[*+]\0|MM\0[*+]|RIFF....WEBP|....ftyp(avi[fs]|mif1|msf1)", re.DOTALL
)
"""What a file of each format begins with."""


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Hold a picture as a PIL image in RGB, no side longer than `colours.SIDE`, and the `size` that it had before."""

    image: Image
    size: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Return the bytes of the pixels."""
        return 3 * self.image.width * self.image.height


def check_is_picture(data: bytes) -> None:
    """Raise BadInput when a file doesn't begin as pictures do; whether it is one only `decode_image` can tell."""
    if not _BEGINNINGS.match(data):
        raise _no_picture()


def decode_image(data: bytes, *, max_pixels: int) -> DecodedImage:
    """Return the picture in `data` upright, in sRGB, on white. Of an animation it is a frame that people notice.

    The type is found by content. Raise BadInput when it isn't a picture, is broken, is too narrow for any model, has
    more than `max_pixels`, or is made to take long.
    """
    from PIL import UnidentifiedImageError
    from PIL.Image import DecompressionBombError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decoded(data, max_pixels)
    except UnidentifiedImageError:
        raise _no_picture() from None
    except DecompressionBombError:
        raise _too_many_pixels(max_pixels) from None
    except MemoryError:
        raise BadInput("This picture takes too much memory to decode. Send a smaller one.") from None
    except DAMAGED:
        raise BadInput("This picture is damaged or incomplete. Save it again and send it once more.") from None


def _decoded(data: bytes, max_pixels: int) -> DecodedImage:
    image, frame, size = _frame(data, max_pixels)
    if image.format == "TIFF":  # pages have sizes of their own, and are turned while they are loaded
        size = frame.size
    seen = as_seen(frame)
    upright = _upright(seen, image)
    is_turned = upright.size != seen.size
    return DecodedImage(upright, size[::-1] if is_turned else size)


def _frame(data: bytes, max_pixels: int) -> tuple[Image, Image, tuple[int, int]]:
    """Return the file, the frame of it that is shown, decoded, and the size that the file says."""
    if not lacks_its_end(data):
        try:
            image, size = _opened(data, max_pixels)
            return image, visible_frame(image, lambda page: _check_size(page, max_pixels)), size
        except OSError as error:
            if not is_truncated(error):
                raise
    size = (0, 0)

    def reopen(other: bytes) -> Image:
        nonlocal size
        image, size = _opened(other, max_pixels)
        return image

    frame = repaired(data, reopen)
    return frame, frame, size


def _opened(data: bytes, max_pixels: int) -> tuple[Image, tuple[int, int]]:
    """Return a picture that isn't decoded yet, and its size; a JPEG will be smaller."""
    from PIL import Image as Images

    image = Images.open(io.BytesIO(data), formats=FORMATS)
    size = image.size
    _check_size(image, max_pixels)
    if image.format in _JPEG:
        if has_too_many_scans(data, size[0] * size[1]):
            raise BadInput("This JPEG file takes too long to decode. Save the picture again and send the new file.")
        scale = max((s for s in (8, 4, 2) if max(size) >= s * _SHORTEST), default=1)
        image.draft(None, (size[0] // scale, size[1] // scale))
    return image, size


def _check_size(image: Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise _too_many_pixels(max_pixels)
    if max(image.size) > _MOST_RATIO * min(image.size):
        raise BadInput(
            "This picture is too narrow. Send one whose longer side is at most {most} times the shorter one.",
            most=_MOST_RATIO,
        )


def _no_picture() -> BadInput:
    return BadInput("This file is no picture that can be read. Send a {formats} file.", formats=_FORMATS_SHOWN)


def _too_many_pixels(max_pixels: int) -> BadInput:
    return BadInput(
        "This picture has too many pixels. Send one of at most {megapixels:.0f} megapixels.",
        megapixels=max_pixels / 1e6,
    )


def _upright(seen: Image, image: Image) -> Image:
    """Turn a picture as the EXIF data of its file says; one whose data is damaged stays as it is."""
    from PIL import ImageOps

    names = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
    seen.info = {name: image.info[name] for name in names if name in image.info}
    try:
        return ImageOps.exif_transpose(seen)
    except DAMAGED:
        return seen
    finally:
        seen.info = {}
