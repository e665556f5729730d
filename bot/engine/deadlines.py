"""Know which jobs have waited too long."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator

from bot.engine.job import Job
from bot.errors import JobExpired
from bot.i18n.durations import format_duration

_SWEEP_AT = 1_024
_EXPIRED = "This job waited for {waited} without a turn and was dropped. Send it again when there is less to do."


class Deadlines:
    """Remember until when jobs may wait. `waits` says whether one still does, by its id."""

    def __init__(self, waits: Callable[[str], bool]) -> None:
        self._waits = waits
        self._heap: list[tuple[float, str]] = []
        self._sweep_at = _SWEEP_AT

    def push(self, job: Job) -> None:
        """Remember a job that begins to wait."""
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        heapq.heappush(self._heap, (job.expires_at, job.id))

    def due(self) -> Iterator[str]:
        """Yield the ids of those whose time is over; some may have had their turn."""
        now = time.time()
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[1]

    def _sweep(self) -> None:
        """Forget those that had their turn, often enough to hold as many of them as of others."""
        self._heap = [entry for entry in self._heap if self._waits(entry[1])]
        heapq.heapify(self._heap)
        self._sweep_at = max(2 * len(self._heap), _SWEEP_AT)


def expired(job: Job) -> JobExpired:
    """Return what its asker is told."""
    return JobExpired(_EXPIRED, waited=format_duration(time.time() - job.created_at))
