"""Tell waiting jobs how many are ahead and when they should start."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from bot.engine.job import Job
from bot.engine.lanes import batch_key

FORECAST_JOBS = 1_000
"""How far into the queue positions are worked out; nobody needs to know that 1,243 are ahead rather than 1,244."""


@dataclass(slots=True)
class _Expected:
    """Expect a batch on a device, which more jobs may join."""

    device: int
    starts_in_s: float
    rows: int


@dataclass(slots=True)
class Forecast:
    """Play through what devices will do.

    `free_in_s` is for each device when it is free, `interleave_in_s` when the first short job can run inside of what a
    device works on (None: at no time) and `guest_share` how much of the time after that goes to such jobs. `seconds`
    returns what a job is expected to take, None when nothing like it was ever measured; `rows` the most of its batch.
    `known`: whether it is known when what runs now ends; if not, no start can be told.
    """

    free_in_s: list[float]
    seconds: Callable[[Job], float | None]
    rows: Callable[[Job], int]
    interleave_in_s: float | None = None
    guest_share: float = 1.0
    known: bool = True
    _batches: dict[Hashable, _Expected] = field(default_factory=dict)

    def apply(self, upcoming: Iterable[Job]) -> None:
        """Update `ahead` and `starts_in_s` of waiting jobs, which come in the order in which they should run."""
        known = self.known
        for ahead, job in enumerate(islice(upcoming, FORECAST_JOBS)):
            seconds = self.seconds(job)
            starts_in_s = self._start(job, seconds or 0.0) if known else None
            job.update(ahead=ahead, starts_in_s=None if starts_in_s is None else round(starts_in_s))
            known = known and seconds is not None

    def _start(self, job: Job, seconds: float) -> float | None:
        """Return when a job starts, and let it take its time."""
        if not self.free_in_s:
            return None
        batch = self._batch(job)
        if (
            self.interleave_in_s is not None
            and not job.request.preemptible
            and self.interleave_in_s <= batch.starts_in_s
        ):
            start = self.interleave_in_s
            self.interleave_in_s += seconds / self.guest_share
            return start
        self._batches[batch_key(job)] = batch
        batch.rows -= job.request.rows
        self.free_in_s[batch.device] = max(self.free_in_s[batch.device], batch.starts_in_s) + seconds
        return batch.starts_in_s

    def _batch(self, job: Job) -> _Expected:
        """Return the batch that a job joins, or one of its own on the device that is free first."""
        batch = self._batches.get(batch_key(job))
        if batch is not None and batch.rows >= job.request.rows:
            return batch
        device = min(range(len(self.free_in_s)), key=self.free_in_s.__getitem__)
        return _Expected(device, self.free_in_s[device], self.rows(job))


def free_in_s(remaining_s: Sequence[float], devices: int) -> list[float]:
    """Return for each device when it is free, from the seconds that busy ones still need."""
    return list(remaining_s) + [0.0] * (devices - len(remaining_s))
