"""Run batches in worker processes on this machine, one for each device.

This is the executor that the bot uses. `LocalDevice` outlives the processes (`bot.workers.worker_process`): it starts
another one after a death, and ends one that is silent for too long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from bot.machine.background import BackgroundTasks
from bot.workers.executor import WorkerDied
from bot.workers.in_flight import PendingBatch
from bot.workers.main import WorkerOptions
from bot.workers.protocol import Batch, BatchItem, BatchReport, Event
from bot.workers.provisional import Drafts
from bot.workers.worker_process import WorkerProcess

log = logging.getLogger(__name__)
_STOP_GRACE_S = 2.0
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 60.0
_HEALTHY_AFTER_S = 60.0
_LOOK_AGAIN_S = 5.0
_KILL_S = 10.0
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

    After a death the device isn't `available` until a new worker has opened it; then `on_available` is called. If the
    last worker never got that far (`unproven`), the device is available as soon as a worker runs.
    """

    def __init__(self, options: WorkerOptions, *, name: str, job_timeout_s: float) -> None:
        self.name = name
        self.available = True
        self.unproven = False
        self.on_available: Callable[[], None] = lambda: None
        self._options = options
        self._job_timeout_s = job_timeout_s
        self._worker: WorkerProcess | None = None
        self._drafts = Drafts()
        self._background = BackgroundTasks()
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
        ready = self._worker.ready if self._worker else None
        return ready.budget_bytes if ready else None

    def start(self) -> WorkerProcess:
        """Spawn the worker process."""
        self._worker = WorkerProcess(self._options, name=self.name, on_open=self._on_open, on_death=self._on_death)
        self._background.spawn(self._watch_opening(self._worker), name=f"open {self.name}")
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

    def prefetch(self, task: str, item: BatchItem) -> None:
        """Preprocess a job that will run soon; nothing to do while no worker lives."""
        if self._worker is not None and not self._worker.dead.is_set():
            self._worker.prefetch(task, item)

    def forget(self, job_id: str) -> None:
        """Drop a job of `prefetch` that won't run here."""
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
        await self._background.close()
        if self._worker is not None:
            await self._worker.stop(_STOP_GRACE_S)

    def _on_open(self) -> None:
        self.unproven = False
        self._be_available()

    def _be_available(self) -> None:
        self.available = True
        self.on_available()

    def _on_death(self) -> None:
        if self._worker is None or self._closing:
            return
        self.available, self.unproven = False, self._worker.ready is None
        self._background.spawn(self._revive(self._worker), name=f"revive {self.name}")

    async def _revive(self, worker: WorkerProcess) -> None:
        """Log the death and start a new process, after a longer wait if the last lives were short."""
        log.error("the worker of %s died (exit code %s)", self.name, await self._exit_code(worker))
        young = time.monotonic() - worker.born_at < _HEALTHY_AFTER_S
        self._backoff_s = self._longer_s() if young else 0.0
        await asyncio.sleep(self._backoff_s)
        await self._start_at_last()
        if self.unproven:
            self._be_available()

    async def _exit_code(self, worker: WorkerProcess) -> int | None:
        """Wait until the process is gone; whatever goes wrong with that, the device needs a new one."""
        try:
            return await worker.join()
        except Exception:
            log.exception("the worker of %s can't be waited for", self.name)
            return None

    async def _start_at_last(self) -> None:
        """Spawn the worker process, again and again while that fails, for example for lack of memory or threads."""
        while True:
            try:
                self.start()
            except Exception as error:  # noqa: BLE001 - whatever it is, giving up would lose the device for good
                self._backoff_s = self._longer_s()
                log.error("no worker of %s can be started, next try in %.0f s: %s", self.name, self._backoff_s, error)  # noqa: TRY400
            else:
                return
            await asyncio.sleep(self._backoff_s)

    def _longer_s(self) -> float:
        return min(max(2 * self._backoff_s, _FIRST_BACKOFF_S), _MAX_BACKOFF_S)

    async def _watch_opening(self, worker: WorkerProcess) -> None:
        """End a worker that neither opens its device nor dies."""
        limit_s = max(self._job_timeout_s, _OPENING_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(worker.opened_or_dead.wait(), limit_s)
            return
        await self._end(worker, limit_s)

    async def _watch(self, worker: WorkerProcess, batch: PendingBatch) -> BatchReport:
        """Wait for the report; end a worker that says nothing of the batch for too long."""
        while True:
            limit_s = self._job_timeout_s if worker.ready else float("inf")
            timeout_s = min(max(limit_s - batch.silent_s, 0.01), _LOOK_AGAIN_S)
            done, _ = await asyncio.wait([batch.report], timeout=timeout_s)
            if not done and batch.silent_s >= limit_s:
                await self._end(worker, limit_s)
            if batch.report.done():
                return batch.report.result()

    async def _end(self, worker: WorkerProcess, silent_s: float) -> None:
        """Kill a silent worker; take one for dead that the system can't end."""
        log.error("the worker of %s was silent for %.0f s: restarting it", self.name, silent_s)
        worker.kill()
        try:
            await asyncio.wait_for(worker.dead.wait(), _KILL_S)
        except TimeoutError:
            log.error("process %s can't be killed: it is left behind", worker.process.pid)  # noqa: TRY400
            worker.give_up()


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names for devices: those that torch uses, numbered when two workers share one ("cpu", "cpu#2")."""
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return out
