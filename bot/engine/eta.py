"""Tell waiting people where they stand, whenever that changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from bot.engine.estimator import Estimator
from bot.engine.forecast import Forecast, free_in_s
from bot.engine.job import Job
from bot.engine.queue import JobQueue
from bot.engine.running_batch import RunningBatch

_DELAY_S = 0.05
_REST = 20.0
"""How much longer than a forecast takes the next one is put off: it may use a twentieth of the event loop's time."""


class EtaUpdater:
    """Forecast what the devices will do with the queue.

    `runs` are the batches of the devices, `running` those that jobs run in, by the job's id. `devices` returns how many
    devices there are for jobs, `rows` the most rows that a job's batch may have.
    """

    def __init__(
        self,
        queue: JobQueue,
        *,
        runs: Mapping[str, RunningBatch],
        running: Mapping[str, RunningBatch],
        devices: Callable[[], int],
        rows: Callable[[Job], int],
        guest_share: float,
    ) -> None:
        self.estimator = Estimator()
        self._queue = queue
        self._runs = runs
        self._running = running
        self._devices = devices
        self._rows = rows
        self._guest_share = guest_share
        self._due: asyncio.TimerHandle | None = None
        self._delay_s = _DELAY_S

    def schedule(self) -> None:
        """Forecast in a moment, once for all changes until then; the longer that takes, the more seldom."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(self._delay_s, self.refresh)

    def refresh(self) -> None:
        """Tell each waiting job how many are ahead of it and when it should start."""
        self.close()
        if not len(self._queue):
            return
        started = time.monotonic()
        forecast = Forecast(
            free_in_s([run.remaining_s for run in self._runs.values()], self._devices()),
            seconds=self._known_s,
            rows=self._rows,
            interleave_in_s=self._interleave_in_s(),
            guest_share=self._guest_share,
            known=all(self.ends_in_s(run.jobs[job_id]) is not None for job_id, run in self._running.items()),
        )
        forecast.apply(self._queue.upcoming())
        self._delay_s = max(_DELAY_S, _REST * (time.monotonic() - started))

    def close(self) -> None:
        """Forget that a forecast is due."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def ends_in_s(self, job: Job) -> float | None:
        """Return the seconds until a job should be done; None when that isn't known, or it is overdue."""
        seconds, run, start_s = self._known_s(job), self._running.get(job.id), job.status.starts_in_s
        if seconds is None or (run is None and start_s is None):
            return None
        return (start_s or 0.0) + seconds if run is None else run.remaining_s or None

    def _interleave_in_s(self) -> float | None:
        steps = [run.step_s for run in self._runs.values() if run.preemptible]
        return min(steps, default=None) if self._guest_share else None

    def _known_s(self, job: Job) -> float | None:
        return self.estimator.seconds(job.request) if self.estimator.knows(job.request) else None
