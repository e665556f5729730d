"""See on the disk how far a download is, whichever process makes it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from bot.hub.download.transfer import unfinished


class FetchProgress:
    """Count the bytes of the files that a model needs, those that are being written included."""

    def __init__(self) -> None:
        self._files: dict[Path, int] = {}
        self._patterns: set[Path] = set()
        self._since, self._moved_at = time.time(), time.monotonic()
        self._done = self._seen = 0

    def watch(self, files: Mapping[Path, int], pattern: Path) -> None:
        """Count these files too from now on, given with their sizes, and the unfinished ones of this pattern."""
        self._patterns.add(pattern)
        self._files |= files

    def bytes(self) -> tuple[int, int]:
        """Return how many bytes are there, and of how many; 0 while that isn't known."""
        files = dict(self._files)
        total = sum(files.values())
        seen = sum(size for path, size in files.items() if path.is_file()) + self._unfinished()
        if seen != self._seen:
            self._seen, self._moved_at = seen, time.monotonic()
        self._done = max(self._done, min(seen, total))
        return self._done, total

    def still_s(self) -> float:
        """Return for how long nothing came; 0 when all is there, and only checked any more."""
        done, total = self.bytes()
        return 0.0 if total and done == total else time.monotonic() - self._moved_at

    def _unfinished(self) -> int:
        """Return the size of what is being written, without what killed processes left."""
        found = (stat for pattern in list(self._patterns) for _, stat in unfinished(pattern))
        return sum(stat.st_size for stat in found if stat.st_mtime >= self._since)
