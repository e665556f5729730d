"""Check that files from the Hub are what the Hub says they are, once for each download."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Container, Sequence
from io import SEEK_END, BufferedReader, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from bot.bundled.models import cache_root

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile


class DamagedFile(OSError):
    """A file isn't what the Hub says it is."""

    def __str__(self) -> str:
        return f"The file {self.args[0]} arrived damaged."


def verify(folder: Path, files: Sequence[RepoFile], checked: Container[str] = ()) -> None:
    """Check a snapshot's files by their hashes; throw one away that is wrong, and raise DamagedFile.

    Those that are `checked` already aren't again. What was is remembered by size and time, since hashing some gigabytes
    takes seconds.
    """
    seen = {file.path: _stamp(folder / file.path) for file in files}
    note = cache_root() / "verified" / f"{folder.parents[1].name}@{folder.name}.json"
    known = _read(note)
    for file in files:
        if file.path not in checked and known.get(file.path) != seen[file.path]:
            _check(folder / file.path, file)
    if not seen.items() <= known.items():
        with contextlib.suppress(OSError):  # then it is checked again by the next process
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(json.dumps(known | seen), encoding="utf-8")


def is_right(path: Path, file: RepoFile) -> bool:
    """Say whether a file is what the Hub says it is."""
    if not path.is_file():
        return False
    with path.open("rb") as content:
        return any(name(content) == file.blob_id for name in (_large_file_id, _blob_id))


def _check(path: Path, file: RepoFile) -> None:
    if not is_right(path, file):
        if path.is_file():
            path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise DamagedFile(file.path)


def _large_file_id(content: BufferedReader) -> str:
    """Return git's name of a file that LFS keeps: that of the pointer which stands in its place."""
    sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    size = content.tell()
    return _blob_id(BytesIO(f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()))


def _blob_id(content: BufferedReader | BytesIO) -> str:
    """Return git's name of a file."""
    size = content.seek(0, SEEK_END)
    content.seek(0)
    return hashlib.file_digest(content, lambda: hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)).hexdigest()


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _read(note: Path) -> dict[str, list[int]]:
    try:
        return dict(json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
