"""Count the scans of a JPEG file: each takes milliseconds, and a file may hold a hundred thousand."""

from __future__ import annotations

import re

_MOST_SCANS = 100
"""Cameras and programs write up to about ten."""
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""A marker; 0 stands for a byte of data, D0 to D7 are marks inside of a scan."""
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _TEMPORARY = 0xD8, 0xD9, 0xDA, 0x01


def has_too_many_scans(data: bytes) -> bool:
    """Say whether a file is a JPEG with more scans than anybody needs."""
    is_suspect = data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > _MOST_SCANS
    return is_suspect and _count_scans(data) > _MOST_SCANS


def _count_scans(data: bytes) -> int:
    """Return the number of scans, of very many only how many are too many. What follows the end doesn't count."""
    position = scans = 0
    while scans <= _MOST_SCANS and (found := _MARKER.search(data, position)):
        marker, position = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            break
        scans += marker == _START_OF_SCAN
        if marker not in (_START_OF_IMAGE, _TEMPORARY):
            position += int.from_bytes(data[position : position + 2], "big")
    return scans
