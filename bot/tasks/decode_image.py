"""Decode pictures from strangers."""

from __future__ import annotations

import io
import re
import struct
import warnings
from typing import TYPE_CHECKING

from bot.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_FORMATS_SHOWN = "PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF"
_MOST_RATIO = 100
"""Of the sides. Models make pictures smaller, which leaves nothing of a shorter side than that; or they enlarge the
shorter side to what they want, and the longer one with it, to some gigabytes."""
_DAMAGED = (
    OSError, RuntimeError, ValueError, SyntaxError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError,
    struct.error,
)  # fmt: skip
"""What Pillow raises of a file that is no longer what it was."""

_BEGINNINGS = re.compile(
    rb"\x89PNG|\xff\xd8\xff|GIF8|BM|II[*+]\0|MM\0[*+]|RIFF....WEBP|....ftyp(avi[fs]|mif1|msf1)", re.DOTALL
)
"""What a file of each format begins with."""


def check_is_picture(data: bytes) -> None:
    """Raise BadInput when a file doesn't begin as pictures do; whether it is one only `decode_image` can tell."""
    if not _BEGINNINGS.match(data):
        raise _no_picture()


def decode_image(data: bytes, *, max_pixels: int) -> Image:
    """Return the picture in `data` upright, as RGB on white, the first frame of an animation.

    The type is found by content. Raise BadInput when it isn't a picture, is broken, is too narrow for any model, or has
    more than `max_pixels`.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_size(image, max_pixels)
            image.load()
            return _on_white(_upright(image))
    except UnidentifiedImageError:
        raise _no_picture() from None
    except Image.DecompressionBombError:
        raise _too_many_pixels(max_pixels) from None
    except _DAMAGED:
        raise BadInput("This picture is damaged or incomplete. Save it again and send it once more.") from None


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


def _upright(image: Image) -> Image:
    """Turn a picture as its EXIF data says; one whose data is damaged stays as it is."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGED:
        return image


def _on_white(image: Image) -> Image:
    """Return an RGB copy; what is transparent becomes white."""
    from PIL import Image as Images

    if image.mode.startswith(("I", "F")):  # 16 and 32 bits a pixel: bring them to 8
        return _to_eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    paper = Images.new("RGBA", layer.size, "white")
    return Images.alpha_composite(paper, layer).convert("RGB")


def _to_eight_bits(image: Image) -> Image:
    """Return an RGB copy. What white is in 32 bits nothing says, so there the lightest is."""
    low, high = (0.0, 65_535.0) if image.mode.startswith("I;16") else _extrema(image)
    scale = 255.0 / max(high - low, 1e-9)
    return image.convert("F").point(lambda v: v * scale + (0.5 - low * scale)).convert("L").convert("RGB")


def _extrema(image: Image) -> tuple[float, float]:
    low, high = image.convert("F").getextrema()
    return float(low), float(high)  # type: ignore[arg-type]
