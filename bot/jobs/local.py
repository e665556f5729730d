"""Run batches in worker processes on this machine, one for each device."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from bot.inference.messages import Batch, BatchItem, BatchReport, Event
from bot.inference.worker import WorkerOptions
from bot.jobs.drafts import Drafts
from bot.jobs.executor import WorkerDied
from bot.jobs.worker_process import WorkerProcess

log = logging.getLogger(__name__)
_STOP_GRACE_S = 2.0
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 60.0
_HEALTHY_AFTER_S = 60.0
_LOOK_AGAIN_S = 5.0
_OPENING_S = 300.0
"""How long a worker may take to import torch and open its device; it can't say anything meanwhile."""


class LocalExecutor:
    """Own one worker process for each device of this machine.

    `job_timeout_s` is how long a running batch may be silent before its worker counts as hanging. An `eager` executor
    starts its workers at once, any other when a device gets its first batch.
    """

    def __init__(self, workers: Sequence[WorkerOptions], *, job_timeout_s: float = 600.0, eager: bool = True) -> None:
        self._eager = eager
        names = _distinct([options.device.name for options in workers])
        self.devices = [
            LocalDevice(options, name=name, job_timeout_s=job_timeout_s)
            for options, name in zip(workers, names, strict=True)
        ]

    async def start(self, on_available: Callable[[], None]) -> None:
        """Start the workers of an eager executor; they import torch while the bot goes on."""
        for device in self.devices:
            device.on_available = on_available
            if self._eager:
                device.start()

    async def close(self) -> None:
        """Stop the workers, by force after a moment."""
        await asyncio.gather(*(device.close() for device in self.devices))


class LocalDevice:
    """Drive one worker process, and start another one when it dies, later each time it dies young.

    It isn't `available` from a death until the next life; `on_available` is called when that begins.
    """

    def __init__(self, options: WorkerOptions, *, name: str, job_timeout_s: float) -> None:
        self.name = name
        self.available = True
        self.on_available: Callable[[], None] = lambda: None
        self._options = options
        self._job_timeout_s = job_timeout_s
        self._worker: WorkerProcess | None = None
        self._drafts = Drafts()
        self._reviving: asyncio.Task[None] | None = None
        self._backoff_s = 0.0
        self._closing = False

    @property
    def pid(self) -> int | None:
        """Return the process id of the worker, or None when none lives."""
        return self._worker.process.pid if self._worker and not self._worker.dead.is_set() else None

    @property
    def loaded(self) -> Mapping[str, int]:
        """Return the models that are in the worker's memory, with their bytes."""
        return self._worker.loaded if self._worker and not self._worker.dead.is_set() else {}

    @property
    def budget_bytes(self) -> int | None:
        """Return what the loaded models may take together; None while the worker hasn't said so."""
        hello = self._worker.hello if self._worker else None
        return hello.budget_bytes if hello else None

    def start(self) -> WorkerProcess:
        """Spawn the worker process."""
        self._worker = WorkerProcess(self._options, name=self.name, on_death=self._on_death)
        return self._worker

    async def run(self, batch: Batch, on_event: Callable[[Event], None]) -> BatchReport:
        """Run a batch; raise WorkerDied when the worker was lost."""
        worker = self._worker or self.start()
        try:
            return await self._watch(worker, worker.run(batch, partial(self._drafts.hear, on_event)))
        except WorkerDied:
            for item in batch.items:
                self._drafts.settle(item.job_id)
            raise

    def prepare(self, task: str, item: BatchItem) -> None:
        """Get a job ready that will run soon; nothing to do while no worker lives."""
        if self._worker is not None and not self._worker.dead.is_set():
            self._worker.prepare(task, item)

    def forget(self, job_id: str) -> None:
        """Drop what was got ready for a job that won't run here."""
        if self._worker is not None:
            self._worker.forget(job_id)

    def cancel(self, job_id: str) -> None:
        """Ask the running job to stop at its next step."""
        self._drafts.drop(job_id)
        if self._worker is not None:
            self._worker.cancel(job_id)

    async def close(self) -> None:
        """Stop the worker."""
        self._closing = True
        self._drafts.clear()
        if self._reviving is not None:
            self._reviving.cancel()
        if self._worker is not None:
            await self._worker.stop(_STOP_GRACE_S)

    def _on_death(self) -> None:
        if self._worker is not None and not self._closing:
            self.available = False
            self._reviving = asyncio.create_task(self._revive(self._worker))

    async def _revive(self, worker: WorkerProcess) -> None:
        """Note the death and start anew, after a longer wait if this life was short, too."""
        log.error("the worker of %s died (exit code %s)", self.name, await worker.join())
        young = time.monotonic() - worker.born_at < _HEALTHY_AFTER_S
        self._backoff_s = min(max(2 * self._backoff_s, _FIRST_BACKOFF_S), _MAX_BACKOFF_S) if young else 0.0
        await asyncio.sleep(self._backoff_s)
        self.start()
        self.available = True
        self.on_available()

    async def _watch(self, worker: WorkerProcess, report: asyncio.Future[BatchReport]) -> BatchReport:
        """Wait for the report; kill a worker that says nothing for too long."""
        while True:
            limit_s = self._job_timeout_s if worker.hello else max(self._job_timeout_s, _OPENING_S)
            silent_s = time.monotonic() - worker.heard_at
            done, _ = await asyncio.wait([report], timeout=min(max(limit_s - silent_s, 0.01), _LOOK_AGAIN_S))
            if done:
                return report.result()
            if time.monotonic() - worker.heard_at >= limit_s:
                log.error("the worker of %s was silent for %.0f s: restarting it", self.name, limit_s)
                worker.kill()
                return await report  # it fails when the process is gone


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names for devices: those that torch uses, numbered when two workers share one ("cpu", "cpu#2")."""
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return out
