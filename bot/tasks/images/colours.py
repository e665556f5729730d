"""Turn whatever numbers a picture file holds into the colours that people see: sRGB with 8 bits, on paper."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 2048
"""Longest side of a decoded picture, in pixels: models look at smaller ones, and drawings are no larger."""
_MOST_TIMES = 2
"""How many times too long a side may be for the slow and good way of making a picture smaller alone."""
_KEPT = ("L", "LA", "RGB", "RGBA", "CMYK")
"""Modes that a colour profile may describe and that can be made smaller; the others become one of them first."""
_PROFILES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
"""Modes and the colour space of their profiles."""
_INVISIBLE = 4.0
"""Contrast on white paper below which a partly transparent picture is put on black, in 255ths."""
_BAND_PIXELS = 4_000_000
_SAMPLES = 128
_USUAL_GAMMA = 1 / 2.2
_SAME_GAMMA = 0.05
_BRIGHTEST_FLOAT = 1.5
"""In floats 1 is white; lights may be brighter."""
_DARKEST_BYTE, _LARGEST_BYTE = 32.0, 255.0
"""Range of the largest level from which levels are taken for bytes."""
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


def as_seen(image: Image) -> Image:
    """Return a loaded image in RGB as viewers show it, with no side longer than `SIDE`."""
    if image.format == "BMP" and image.mode == "RGBA" and not image.getchannel("A").getbbox():
        image = image.convert("RGB")  # most programs leave the fourth byte empty
    small = _in_srgb(_smaller(image, _to_kept_mode(image)), image.info)
    return _on_paper(small)


def contrast(image: Image) -> float:
    """Return how much there is to see: the largest standard deviation of a channel, 0 to 127, from some samples."""
    from PIL import Image as Images
    from PIL import ImageStat

    size = (min(image.width, _SAMPLES), min(image.height, _SAMPLES))
    samples = image.resize(size, Images.Resampling.NEAREST)
    return float(max(ImageStat.Stat(_on_paper(_to_kept_mode(samples)(samples))).stddev))


def _smaller(image: Image, to_kept_mode: Callable[[Image], Image]) -> Image:
    """Make an image smaller. A large one goes through in bands, since its copies would fill the memory."""
    from PIL import Image as Images

    factor = max(image.size) // SIDE
    small = _in_bands(image, factor, to_kept_mode) if factor > _MOST_TIMES else to_kept_mode(image)
    longer = max(small.size)
    if longer <= SIDE:
        return small
    width, height = (max(1, round(length * SIDE / longer)) for length in small.size)
    return small.resize((width, height), Images.Resampling.BICUBIC)


def _in_bands(image: Image, factor: int, to_kept_mode: Callable[[Image], Image]) -> Image:
    """Return the means of `factor` by `factor` pixels."""
    from PIL import Image as Images

    rows = factor * max(1, _BAND_PIXELS // (image.width * factor))
    tops = range(0, image.height, rows)
    boxes = [(0, top, image.width, min(top + rows, image.height)) for top in tops]
    bands = [to_kept_mode(image.crop(box)).reduce(factor) for box in boxes]
    whole = Images.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    top = 0
    for band in bands:
        whole.paste(band, (0, top))
        top += band.height
    return whole


def _to_kept_mode(image: Image) -> Callable[[Image], Image]:
    """Return what brings an image, or a part of it, into one of the modes in `_KEPT`."""
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits a pixel: bring them to 8
        return _to_eight_bits(image)

    def convert(part: Image) -> Image:
        if part.mode in _KEPT and "transparency" not in part.info:
            return part
        if part.has_transparency_data:
            return part.convert("RGBA")
        return part.convert("L" if part.mode == "1" else "RGB")

    return convert


def _to_eight_bits(image: Image) -> Callable[[Image], Image]:
    """Return what brings levels of grey to 0 to 255."""
    low, high = _range(image)
    scale = 255.0 / (high - low)
    offset = 0.5 - low * scale

    def convert(part: Image) -> Image:
        whole = part if part.mode in ("I", "F") else part.convert("I")
        return whole.convert("F").point(lambda level: level * scale + offset).convert("L")

    return convert


def _range(image: Any) -> tuple[float, float]:
    """Return which levels are black and white: the file's own, the usual ones that fit, or the darkest and lightest."""
    if image.mode.startswith("I;16"):
        is_inverted = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        return (65_535.0, 0.0) if is_inverted else (0.0, 65_535.0)
    low, high = map(float, image.getextrema())
    are_finite = math.isfinite(low) and math.isfinite(high)
    if image.mode == "F" and (not are_finite or (low >= 0.0 and high <= _BRIGHTEST_FLOAT)):
        return 0.0, 1.0
    if low >= 0.0 and _DARKEST_BYTE <= high <= _LARGEST_BYTE:
        return 0.0, _LARGEST_BYTE
    return low, max(high, low + 1e-9)


def _in_srgb(image: Image, info: dict[Any, Any]) -> Image:
    """Return an image in sRGB, with its transparency, by the colour profile or the gamma that the file names."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colour = image.convert(image.mode.removesuffix("A")) if alpha else image
    colour = _by_profile(colour, info["icc_profile"]) if info.get("icc_profile") else _by_gamma(colour, info)
    colour = colour.convert("RGB")
    if alpha:
        colour.putalpha(alpha)
    return colour


def _by_profile(image: Image, icc: bytes) -> Image:
    """Convert an image by its ICC profile; a profile that is damaged or for other colours says nothing."""
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = str(profile.profile.xcolor_space).strip()
        if image.mode == "L" and space == "RGB":
            image = image.convert("RGB")
        if _PROFILES[image.mode] != space:
            return image
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return converted or image


def _by_gamma(image: Image, info: dict[Any, Any]) -> Image:
    """Convert an image by the gamma of a PNG file, if that isn't the usual one."""
    gamma = info.get("gamma")
    if image.mode not in ("L", "RGB") or "srgb" in info or not isinstance(gamma, float) or gamma <= 0:
        return image
    if abs(gamma / _USUAL_GAMMA - 1) < _SAME_GAMMA:
        return image
    levels = [round(255 * (level / 255) ** (_USUAL_GAMMA / gamma)) for level in range(256)]
    return image.point(levels * len(image.getbands()))


def _on_paper(image: Image) -> Image:
    """Return an RGB image. What is transparent becomes white, or black where the picture would vanish on white."""
    from PIL import ImageStat

    if image.mode not in ("LA", "RGBA"):
        return image.convert("RGB")
    low, high = image.getchannel("A").getextrema()
    on_white = _composite(image, "white")
    if low != high and max(ImageStat.Stat(on_white).stddev) < _INVISIBLE:
        return _composite(image, "black")
    return on_white


def _composite(image: Image, paper: str) -> Image:
    from PIL import Image as Images

    layer = image.convert("RGBA")
    return Images.alpha_composite(Images.new("RGBA", layer.size, paper), layer).convert("RGB")
