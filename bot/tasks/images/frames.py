"""Choose the frame of an animation, or the page of a file, that people would call the picture."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.tasks.images.colours import contrast

if TYPE_CHECKING:
    from PIL.Image import Image

FLAT = 4.0
"""Contrast below which a frame shows nothing, in 255ths."""
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_MOST_FRAMES, _MOST_PIXELS, _MOST_MS = 40, 25_000_000, 3_000.0
"""How much of an animation is looked at: frames, pixels of all frames together, milliseconds."""
_FASTEST_MS, _USUAL_MS = 10.0, 100.0
"""Browsers show frames of up to 10 ms for 100 ms."""
_FLASH_MS, _FLASH_SHARE = 40.0, 0.25
"""Nobody notices a frame that is so short, if most are at least four times as long."""
_SUBFILE_TYPE, _REDUCED, _MASK = 254, 1, 4
"""TIFF's tag for what a page is, and its bits for a small copy of another page and for a mask."""
_DAMAGED_LATER = (EOFError, OSError, SyntaxError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class _Frame:
    image: Image
    contrast: float
    ms: float


def visible_frame(image: Any, check_page: Callable[[Any], None]) -> Image:
    """Return the loaded frame; `check_page` raises BadInput for a page of a size that isn't allowed.

    Raise what Pillow raises when the first frame is damaged.
    """
    if image.format == "TIFF":
        return _page(image, check_page)
    if image.format not in _ANIMATED or not _has_more(image):
        image.load()
        return image  # type: ignore[no-any-return]
    return _noticed(list(_frames(image))).image


def _has_more(image: Any) -> bool:
    """Say whether there is a second frame. GIF's plugin would read the whole file to tell."""
    return image.format == "GIF" or getattr(image, "n_frames", 1) > 1


def _noticed(frames: list[_Frame]) -> _Frame:
    """Return the first frame that lasts, and has at least half as much contrast as the best of the beginning."""
    median_ms = statistics.median(frame.ms for frame in frames)
    lasting = [f for f in frames if f.ms > _FLASH_MS or f.ms > _FLASH_SHARE * median_ms] or frames
    enough = max(FLAT, max(frame.contrast for frame in lasting) / 2)
    return next((frame for frame in lasting if frame.contrast >= enough), lasting[0])


def _frames(image: Any) -> Iterator[_Frame]:
    """Yield the first frames of an animation, decoded; damaged ones end it, but not the first."""
    first = int(getattr(image, "default_image", False))  # of an animated PNG, for programs that show no animations
    pixels, total_ms = 0, 0.0
    for number in range(first, first + _MOST_FRAMES):
        try:
            image.seek(number)
            image.load()
        except _DAMAGED_LATER:
            if number == first:
                raise
            return
        ms = float(image.info.get("duration") or 0.0)
        ms = ms if ms > _FASTEST_MS else _USUAL_MS
        yield _Frame(image.copy(), contrast(image), ms)
        pixels, total_ms = pixels + image.width * image.height, total_ms + ms
        if total_ms > _MOST_MS or pixels + image.width * image.height > _MOST_PIXELS:
            return


def _page(image: Any, check_page: Callable[[Any], None]) -> Image:
    """Return the first page of a TIFF that isn't a small copy, a mask or empty; else the first."""
    pixels = 0
    for number in range(_MOST_FRAMES):
        try:
            image.seek(number)
            pixels += image.width * image.height
            if number and pixels > _MOST_PIXELS:
                break
            if image.tag_v2.get(_SUBFILE_TYPE, 0) & (_REDUCED | _MASK):
                continue
            check_page(image)
            image.load()
        except _DAMAGED_LATER:
            break
        if contrast(image) >= FLAT:
            return image  # type: ignore[no-any-return]
    image.seek(0)
    image.load()
    return image  # type: ignore[no-any-return]
