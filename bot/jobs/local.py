"""Run batches in worker processes on this machine, one for each device."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from bot.inference.messages import Batch, BatchReport, Event
from bot.inference.worker import WorkerOptions
from bot.jobs.worker_process import WorkerProcess

log = logging.getLogger(__name__)
_STOP_GRACE_S = 2.0
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 60.0
_HEALTHY_AFTER_S = 60.0


class LocalExecutor:
    """Own one worker process for each device of this machine.

    `job_timeout_s` is how long a running batch may be silent before its worker counts as hanging. An `eager` executor
    starts its workers at once, any other when a device gets its first batch.
    """

    def __init__(self, workers: Sequence[WorkerOptions], *, job_timeout_s: float = 600.0, eager: bool = True) -> None:
        self._eager = eager
        self.devices = [LocalDevice(options, job_timeout_s=job_timeout_s) for options in workers]

    async def start(self) -> None:
        """Start the workers of an eager executor; they import torch while the bot goes on."""
        for device in self.devices if self._eager else ():
            device.start()

    async def close(self) -> None:
        """Stop the workers, by force after a moment."""
        await asyncio.gather(*(device.close() for device in self.devices))


class LocalDevice:
    """Drive one worker process, and start another one when it dies, later each time it dies young."""

    def __init__(self, options: WorkerOptions, *, job_timeout_s: float) -> None:
        self.name = options.device.name
        self.warm: frozenset[str] = frozenset()
        self._options = options
        self._job_timeout_s = job_timeout_s
        self._worker: WorkerProcess | None = None
        self._backoff_s = 0.0

    @property
    def pid(self) -> int | None:
        """Return the process id of the worker, or None when none lives."""
        return self._worker.process.pid if self._worker and not self._worker.dead.is_set() else None

    def start(self) -> WorkerProcess:
        """Spawn the worker process."""
        self._worker = WorkerProcess(self._options)
        return self._worker

    async def run(self, batch: Batch, on_event: Callable[[Event], None]) -> BatchReport:
        """Run a batch; raise WorkerDied when the worker was lost."""
        worker = await self._living_worker()
        report = await self._watch(worker, worker.run(batch, on_event))
        self.warm = report.warm
        return report

    def cancel(self, job_id: str) -> None:
        """Ask the running job to stop at its next step."""
        if self._worker is not None:
            self._worker.cancel(job_id)

    async def close(self) -> None:
        """Stop the worker."""
        if self._worker is not None:
            await self._worker.stop(_STOP_GRACE_S)

    async def _living_worker(self) -> WorkerProcess:
        worker = self._worker
        if worker is not None and not worker.dead.is_set():
            return worker
        if worker is not None:
            await self._bury(worker)
        return self.start()

    async def _bury(self, worker: WorkerProcess) -> None:
        """Note the death, and wait longer before the next life if this one was short."""
        self.warm = frozenset()
        log.error("the worker of %s died (exit code %s)", self.name, await worker.join())
        young = time.monotonic() - worker.born_at < _HEALTHY_AFTER_S
        self._backoff_s = min(max(2 * self._backoff_s, _FIRST_BACKOFF_S), _MAX_BACKOFF_S) if young else 0.0
        await asyncio.sleep(self._backoff_s)

    async def _watch(self, worker: WorkerProcess, report: asyncio.Future[BatchReport]) -> BatchReport:
        """Wait for the report; kill a worker that says nothing for too long."""
        while True:
            silent_s = time.monotonic() - worker.heard_at
            done, _ = await asyncio.wait([report], timeout=max(self._job_timeout_s - silent_s, 0.01))
            if done:
                return report.result()
            if time.monotonic() - worker.heard_at >= self._job_timeout_s:
                log.error("the worker of %s was silent for %.0f s: restarting it", self.name, self._job_timeout_s)
                worker.kill()
