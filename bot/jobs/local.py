"""Run batches in worker processes on this machine, one for each device."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from bot.inference.messages import Batch, BatchReport, Cancel, Event, Hello, Run, Stop
from bot.inference.worker import WorkerOptions, worker_main
from bot.jobs.executor import WorkerDied

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


@dataclass(slots=True, eq=False)
class _Worker:
    """Hold one life of a worker process: it ends when the process does."""

    process: BaseProcess
    connection: Connection
    started_at: float = field(default_factory=time.monotonic)
    heard_at: float = field(default_factory=time.monotonic)
    dead: asyncio.Event = field(default_factory=asyncio.Event)
    report: asyncio.Future[BatchReport] | None = None
    on_event: Callable[[Event], None] = lambda _: None

    def hear(self, message: Any) -> None:
        """Take a message of the process; None says that it ended."""
        self.heard_at = time.monotonic()
        if message is None:
            self.dead.set()
            self._resolve(error=WorkerDied())
        elif isinstance(message, BatchReport):
            self._resolve(report=message)
        elif not isinstance(message, Hello):
            self.on_event(message)

    def _resolve(self, *, report: BatchReport | None = None, error: Exception | None = None) -> None:
        if self.report is None or self.report.done():
            return
        if report is not None:
            self.report.set_result(report)
        elif error is not None:
            self.report.set_exception(error)
            self.report.exception()  # who waited may have gone: then nobody needs to hear of it

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(OSError, ValueError):
            self.process.kill()


class LocalDevice:
    """Drive one worker process, and start another one when it dies, later each time it dies young."""

    def __init__(self, options: WorkerOptions, *, job_timeout_s: float) -> None:
        self.name = options.device.name
        self.warm: frozenset[str] = frozenset()
        self._options = options
        self._job_timeout_s = job_timeout_s
        self._worker: _Worker | None = None
        self._backoff_s = 0.0

    @property
    def pid(self) -> int | None:
        """Return the process id of the worker, or None when none lives."""
        return self._worker.process.pid if self._worker and not self._worker.dead.is_set() else None

    def start(self) -> None:
        """Spawn the worker process and listen to it."""
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=worker_main, args=(theirs, self._options), name=f"hubcord-{self.name}", daemon=True
        )
        process.start()
        theirs.close()
        self._worker = _Worker(process, ours)
        listener = threading.Thread(
            target=_listen,
            args=(self._worker, asyncio.get_running_loop()),
            name=f"listen-{self.name}",
            daemon=True,
        )
        listener.start()

    async def run(self, batch: Batch, on_event: Callable[[Event], None]) -> BatchReport:
        """Run a batch; raise WorkerDied when the worker was lost."""
        worker = await self._living_worker()
        worker.on_event, worker.heard_at = on_event, time.monotonic()
        worker.report = asyncio.get_running_loop().create_future()
        try:
            await asyncio.to_thread(worker.connection.send, Run(batch))
            report = await self._watch(worker, worker.report)
        except OSError:
            raise WorkerDied from None
        self.warm = report.warm
        return report

    def cancel(self, job_id: str) -> None:
        """Ask the running job to stop at its next step."""
        if self._worker is not None:
            with contextlib.suppress(OSError):
                self._worker.connection.send(Cancel(job_id))

    async def close(self) -> None:
        """Ask the worker to stop, then make it."""
        worker = self._worker
        if worker is None:
            return
        with contextlib.suppress(OSError):
            await asyncio.to_thread(worker.connection.send, Stop())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                worker.dead.wait(), 0.1 if worker.report and not worker.report.done() else _STOP_GRACE_S
            )
        worker.kill()
        await asyncio.to_thread(worker.process.join, _STOP_GRACE_S)
        worker.connection.close()

    async def _living_worker(self) -> _Worker:
        worker = self._worker
        if worker is not None and not worker.dead.is_set():
            return worker
        if worker is not None:
            await self._bury(worker)
        self.start()
        if self._worker is None:
            raise WorkerDied
        return self._worker

    async def _bury(self, worker: _Worker) -> None:
        """Note the death, and wait longer before the next life if this one was short."""
        self.warm = frozenset()
        await asyncio.to_thread(worker.process.join, _STOP_GRACE_S)
        log.error("the worker of %s died (exit code %s)", self.name, worker.process.exitcode)
        young = time.monotonic() - worker.started_at < _HEALTHY_AFTER_S
        self._backoff_s = min(max(2 * self._backoff_s, _FIRST_BACKOFF_S), _MAX_BACKOFF_S) if young else 0.0
        await asyncio.sleep(self._backoff_s)

    async def _watch(self, worker: _Worker, report: asyncio.Future[BatchReport]) -> BatchReport:
        """Wait for the report; kill a worker that says nothing for too long."""
        while True:
            silent_s = time.monotonic() - worker.heard_at
            done, _ = await asyncio.wait([report], timeout=max(self._job_timeout_s - silent_s, 0.01))
            if done:
                return report.result()
            if time.monotonic() - worker.heard_at >= self._job_timeout_s:
                log.error("the worker of %s was silent for %.0f s: restarting it", self.name, self._job_timeout_s)
                worker.kill()


def _listen(worker: _Worker, loop: asyncio.AbstractEventLoop) -> None:
    """Pass the process's messages to the event loop until the process ends."""
    message: Any = ""
    while message is not None:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            message = None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(worker.hear, message)
