"""Read files whose end is missing, as viewers do, if it is little.

A file is decoded twice, with different bytes or pixels in place of the missing ones. The pixels that differ are those
that the file doesn't hold.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_MISSING = 0.1
"""Share of the pixels that may be missing."""
_MOST_MISSING_OF_WEBP = 0.02
"""Share of the bytes."""
_MARKS_IN = 1 << 16
"""Bytes of a JPEG's end in which the last restart mark is looked for."""
_RESTART_INTERVAL = re.compile(rb"\xff\xdd\0\x04(?!\0\0)")
_RESTART_MARK = re.compile(rb"\xff([\xd0-\xd7])")
_MOST_INTERVALS, _END_OF_JPEG = 4_096, b"\xff\xd9"
_OTHER_BYTES = random.Random(0).randbytes(256).replace(b"\xff", b"\0")  # noqa: S311 - no secret
_PREFILLED = ("PNG", "BMP", "TIFF", "GIF")
"""Formats whose pixels Pillow decodes one after another into memory that is there already."""
Open = Callable[[bytes], Any]


def lacks_its_end(data: bytes) -> bool:
    """Say whether this is a WebP file that is shorter than it says: such a one can't even be opened."""
    return _missing_of_webp(data) > 0


def is_truncated(error: OSError) -> bool:
    """Say whether Pillow missed the end of a file, not something in it."""
    return "truncated" in str(error)


def repaired(data: bytes, reopen: Open) -> Image:
    """Return a picture whose end is missing, with something in its place; `reopen` opens a file.

    Raise OSError when more is missing than viewers would show.
    """
    if lacks_its_end(data):
        return _loaded(reopen(_filled_webp(data)))
    if data.startswith(b"\xff\xd8"):
        data = data.rstrip(b"\xff")  # half a mark
        one, other = _loaded(reopen(data + _END_OF_JPEG)), _loaded(reopen(data + _other_scan(data)))
    elif (image := reopen(data)).format in _PREFILLED:
        one, other = _prefilled(image, 0), _prefilled(reopen(data), 255)
    else:
        raise OSError("there is no way to repair this format")
    if _share_of_difference(one, other) > _MOST_MISSING:
        raise OSError("too much of the picture is missing")
    return one


def _missing_of_webp(data: bytes) -> int:
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return int.from_bytes(data[4:8], "little") + 8 - len(data) if is_webp else 0


def _filled_webp(data: bytes) -> bytes:
    """Return a WebP file with zeros at its end; the decoder refuses other bytes there, so nothing can be compared."""
    missing = _missing_of_webp(data)
    if missing > _MOST_MISSING_OF_WEBP * len(data):
        raise OSError("too much of the file is missing")
    return data + bytes(missing)


def _other_scan(data: bytes) -> bytes:
    """Return bytes that go on with the last scan of a JPEG, to its end, also when it is divided by restart marks."""
    marks = _RESTART_MARK.findall(data, max(0, len(data) - _MARKS_IN)) if _RESTART_INTERVAL.search(data) else []
    if not marks:
        return _OTHER_BYTES * 8 + _END_OF_JPEG
    first = marks[-1][0] - 0xD0 + 1
    marked = (bytes([0xFF, 0xD0 + number % 8]) + _OTHER_BYTES for number in range(first, first + _MOST_INTERVALS))
    return _OTHER_BYTES + b"".join(marked) + _END_OF_JPEG


def _loaded(image: Any) -> Image:
    image.load()
    return image  # type: ignore[no-any-return]


def _prefilled(image: Any, level: int) -> Image:
    """Decode as much as there is into an image of one colour."""
    prepare = image.load_prepare

    def fill() -> None:
        prepare()
        bands = image.im.bands
        image.im.paste((level,) * bands if bands > 1 else level, (0, 0, *image.im.size))

    image.load_prepare = fill
    with _tolerant():
        image.load()
    return image  # type: ignore[no-any-return]


@contextmanager
def _tolerant() -> Iterator[None]:
    """Let Pillow stop at the end of what there is."""
    from PIL import ImageFile

    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _share_of_difference(one: Any, other: Any) -> float:
    """Return the share of the pixels that differ."""
    from PIL import ImageChops

    if one.mode.startswith(("I", "F")):
        one, other = one.convert("L"), other.convert("L")
    difference = ImageChops.difference(one, other)
    bands = difference.split() if len(difference.getbands()) > 1 else (difference,)
    same: int = min(band.histogram()[0] for band in bands)
    return 1.0 - same / float(one.width * one.height)
