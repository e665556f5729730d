"""Check that files from the Hub are what the Hub says they are, once for each download."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bot.bundled.catalog import cache_root

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile


class DamagedFile(OSError):
    """A file isn't what the Hub says it is."""

    def __str__(self) -> str:
        return f"The file {self.args[0]} arrived damaged."


def verify(folder: Path, files: Sequence[RepoFile]) -> None:
    """Check a snapshot's files by their hashes; throw one away that is wrong, and raise DamagedFile.

    What was checked is remembered by size and time, since hashing some gigabytes takes seconds.
    """
    seen = {file.path: _stamp(folder / file.path) for file in files}
    note = cache_root() / "verified" / f"{folder.parents[1].name}@{folder.name}.json"
    known = _read(note)
    for file in files:
        if known.get(file.path) != seen[file.path]:
            _check(folder / file.path, file)
    if not seen.items() <= known.items():
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(known | seen), encoding="utf-8")


def _check(path: Path, file: RepoFile) -> None:
    if file.lfs is not None:
        right = _hash(path, "sha256") == file.lfs.sha256
    else:
        right = _hash(path, "sha1", f"blob {path.stat().st_size}\0".encode()) == file.blob_id
    if not right:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise DamagedFile(file.path)


def _hash(path: Path, algorithm: str, head: bytes = b"") -> str:
    """Return a file's hash; git's begins with a `head`."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.new(algorithm, head)).hexdigest()


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _read(note: Path) -> dict[str, list[int]]:
    try:
        return dict(json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
