"""Count the scans of a JPEG file: each takes milliseconds, and a file may hold a hundred thousand."""

from __future__ import annotations

import re

_MOST_SCANS, _USUAL_SCANS, _MOST_SCANNED_PIXELS = 100, 20, 1_000_000_000
"""Most scans, for large pictures by the pixels of all scans together, but as many as anybody needs in any case.

Cameras and programs write up to about ten.
"""
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""A marker; 0 stands for a byte of data, D0 to D7 are marks inside of a scan."""
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _TEMPORARY = 0xD8, 0xD9, 0xDA, 0x01


def has_too_many_scans(data: bytes, pixels: int) -> bool:
    """Say whether a JPEG of so many pixels has more scans than anybody needs."""
    most = min(_MOST_SCANS, max(_USUAL_SCANS, _MOST_SCANNED_PIXELS // pixels))
    return data.count(b"\xff\xda") > most and _count_scans(data, most) > most


def _count_scans(data: bytes, most: int) -> int:
    """Return the number of scans; when there are more than `most`, not all. What follows the end doesn't count."""
    position = scans = 0
    while scans <= most and (found := _MARKER.search(data, position)):
        marker, position = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            break
        scans += marker == _START_OF_SCAN
        if marker not in (_START_OF_IMAGE, _TEMPORARY):
            position += int.from_bytes(data[position : position + 2], "big")
    return scans
