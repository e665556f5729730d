"""Fetch one file by its address, going on where a process that was killed left off."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from bot.hub.client import cap_retry_after

IsRight = Callable[[Path], bool]
OnFiles = Callable[[Mapping[Path, int], Path], None]
"""Hears which files are needed, with their sizes, and the pattern of those that are being written, before they are."""


def unfinished(pattern: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files like this that are being written, or were when a process was killed."""
    for path in pattern.parent.glob(pattern.name):
        with suppress(FileNotFoundError):
            yield path, path.stat()


def download(
    url: str, part: Path, target: Path, *, size: int, headers: Mapping[str, str], is_right: IsRight | None
) -> bool:
    """Fetch a file of `size` bytes (0 when that isn't known); say whether it is right, throw it away when it isn't.

    It is at `part` until it is whole. What was left there counts as its beginning, if its size is known and there is a
    way to check it; when that makes a wrong file, it is fetched anew. The caller holds the file's lock.
    """
    if not (size and is_right and part.exists() and part.stat().st_size <= size):
        part.unlink(missing_ok=True)
    for _ in range(1 + part.exists()):
        if not _get(url, part, size, headers):
            return False
        if is_right is None or is_right(part):
            part.replace(target)
            return True
        part.unlink()
    return False


def _get(url: str, part: Path, size: int, headers: Mapping[str, str]) -> bool:
    """Fetch what isn't there yet; say whether all came. What did stays: the next try goes on with it."""
    from huggingface_hub.file_download import http_get

    cap_retry_after()
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as content:
        try:
            http_get(url, content, resume_size=content.tell(), headers=dict(headers), expected_size=size or None)
        except OSError as error:
            if type(error) is OSError and error.errno is None:  # so it tells of another size
                return False
            raise
    return True
