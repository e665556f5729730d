"""Tell the time as a thread lives it: what it waits for a core doesn't pass."""

from __future__ import annotations

import time
from pathlib import Path

_WAITS = Path("/proc/thread-self/schedstat")


class OwnClock:
    """Count seconds for the thread that makes this. Without Linux's scheduler statistics it is an ordinary clock."""

    def __init__(self) -> None:
        self._waits = _WAITS.open("rb", buffering=0) if _WAITS.exists() else None

    def __call__(self) -> float:
        """Return the seconds since some moment."""
        return time.perf_counter() - self.waited_s()

    def both(self) -> tuple[float, float]:
        """Return the seconds by this clock and by the wall's."""
        return self(), time.perf_counter()

    def waited_s(self) -> float:
        """Return the seconds that the thread was ready to run and had no core."""
        if self._waits is None:
            return 0.0
        self._waits.seek(0)
        return int(self._waits.read(64).split()[1]) / 1e9
