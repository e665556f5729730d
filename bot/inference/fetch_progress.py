"""See on the disk how far a download from the Hub is, whichever process makes it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bot.inference.fetch import unfinished

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile


class FetchProgress:
    """Count the bytes of the files that a snapshot needs, those that are being written included."""

    def __init__(self) -> None:
        self._folder = Path()
        self._files: dict[Path, int] = {}
        self._since, self._done, self._moved_at = time.time(), 0, time.monotonic()

    def watch(self, folder: Path, files: Sequence[RepoFile]) -> None:
        """Count these files from now on."""
        self._folder, self._files = folder, {folder / file.path: file.size for file in files}

    def bytes(self) -> tuple[int, int]:
        """Return how many bytes are there, and of how many; 0 while that isn't known."""
        total = sum(self._files.values())
        whole = sum(size for path, size in self._files.items() if path.is_file())
        done = min(whole + self._unfinished(), total)
        if done > self._done:
            self._done, self._moved_at = done, time.monotonic()
        return self._done, total

    def still_s(self) -> float:
        """Return for how long nothing came; 0 when all is there, and only checked any more."""
        done, total = self.bytes()
        return 0.0 if total and done == total else time.monotonic() - self._moved_at

    def _unfinished(self) -> int:
        """Return the size of what is being written, without what killed processes left."""
        if not self._files:
            return 0
        return sum(stat.st_size for _, stat in unfinished(self._folder) if stat.st_mtime >= self._since)
