"""Know which jobs have waited too long."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator

from bot.durations import spoken
from bot.errors import JobExpired
from bot.jobs.job import Job

_EXPIRED = "This job waited for {waited} without a turn and was dropped. Send it again when there is less to do."


class Deadlines:
    """Remember until when jobs may wait."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []

    def push(self, job: Job) -> None:
        """Remember a job that begins to wait."""
        heapq.heappush(self._heap, (job.expires_at, job.id))

    def due(self) -> Iterator[str]:
        """Yield the ids of those whose time is over; some may have had their turn."""
        now = time.time()
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[1]


def expired(job: Job) -> JobExpired:
    """Return what its asker is told."""
    return JobExpired(_EXPIRED, waited=spoken(time.time() - job.created_at))
