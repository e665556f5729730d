"""Decode pictures from strangers."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from bot.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_FORMATS_SHOWN = "PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF"


def decode_image(data: bytes, *, max_pixels: int) -> Image:
    """Return the picture in `data` upright, as RGB on white, the first frame of an animation.

    The type is found by content. Raise BadInput when it isn't a picture, is broken, or has more than `max_pixels`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_pixels(image, max_pixels)
            image.load()
            return _on_white(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise BadInput(
            "This file is no picture that can be read. Send a {formats} file.", formats=_FORMATS_SHOWN
        ) from None
    except Image.DecompressionBombError:
        raise _too_many_pixels(max_pixels) from None
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        ZeroDivisionError,
        OverflowError,
    ):
        raise BadInput("This picture is damaged or incomplete. Save it again and send it once more.") from None


def _check_pixels(image: Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise _too_many_pixels(max_pixels)


def _too_many_pixels(max_pixels: int) -> BadInput:
    return BadInput(
        "This picture has too many pixels. Send one of at most {megapixels:.0f} megapixels.",
        megapixels=max_pixels / 1e6,
    )


def _on_white(image: Image) -> Image:
    """Return an RGB copy; what is transparent becomes white."""
    from PIL import Image as Images

    if image.mode in ("RGB", "L"):
        return image.convert("RGB")
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits a pixel: bring them to 8
        return _to_eight_bits(image)
    layer = image.convert("RGBA")
    paper = Images.new("RGBA", layer.size, "white")
    return Images.alpha_composite(paper, layer).convert("RGB")


def _to_eight_bits(image: Image) -> Image:
    low, high = image.convert("F").getextrema()
    span = max(float(high) - float(low), 1e-9)  # type: ignore[arg-type]
    return image.convert("F").point(lambda v: (v - low) * (255.0 / span)).convert("L").convert("RGB")
