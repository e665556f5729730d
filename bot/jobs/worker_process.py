"""Hold one life of a worker process: talk to it without ever blocking the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from bot.inference.messages import Batch, BatchReport, Cancel, Event, Hello, Run, Stop
from bot.inference.worker import WorkerOptions, worker_main
from bot.jobs.executor import WorkerDied

log = logging.getLogger(__name__)
_JOIN_S = 2.0
_spawn = multiprocessing.get_context("spawn")
_Outbox = queue.SimpleQueue[Run | Cancel | Stop | None]


class WorkerProcess:
    """Spawn a worker process and exchange messages with it.

    One thread sends, since a pipe whose reader hangs blocks; one listens. `dead` is set when the process is gone,
    `heard_at` is when it last said something (monotonic seconds), `started` whether it ever opened its device.
    """

    def __init__(self, options: WorkerOptions) -> None:
        ours, theirs = _spawn.Pipe()
        name = f"hubcord-{options.device.name}"
        self.process = _spawn.Process(target=worker_main, args=(theirs, options), name=name, daemon=True)
        self.process.start()
        theirs.close()
        self.dead = asyncio.Event()
        self.started = False
        self.born_at = self.heard_at = time.monotonic()
        self._outbox: _Outbox = queue.SimpleQueue()
        self._report: asyncio.Future[BatchReport] | None = None
        self._on_event: Callable[[Event], None] = lambda _: None
        loop = asyncio.get_running_loop()
        threading.Thread(target=_send, args=(ours, self._outbox), name=f"{name}-send", daemon=True).start()
        threading.Thread(target=_listen, args=(self._hear, ours, loop), name=f"{name}-listen", daemon=True).start()

    def run(self, batch: Batch, on_event: Callable[[Event], None]) -> asyncio.Future[BatchReport]:
        """Hand over a batch; the future gets its report, or WorkerDied."""
        self._on_event, self.heard_at = on_event, time.monotonic()
        self._report = asyncio.get_running_loop().create_future()
        if self.dead.is_set():
            self._fail()
        else:
            self._outbox.put(Run(batch))
        return self._report

    def cancel(self, job_id: str) -> None:
        """Ask the running job to stop at its next step."""
        self._outbox.put(Cancel(job_id))

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(OSError, ValueError):
            self.process.kill()

    async def stop(self, grace_s: float) -> None:
        """Ask the process to end, then make it. One that computes isn't waited for."""
        busy = self._report is not None and not self._report.done()
        if not busy:
            self._outbox.put(Stop())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.dead.wait(), grace_s)
        self.kill()
        await self.join()

    async def join(self) -> int | None:
        """Wait until the process is gone, and return its exit code."""
        await asyncio.to_thread(self.process.join, _JOIN_S)
        self._outbox.put(None)
        return self.process.exitcode

    def _hear(self, message: Any) -> None:
        """Take a message of the process; None says that it ended."""
        self.heard_at = time.monotonic()
        if message is None:
            self.dead.set()
            self._fail()
        elif isinstance(message, Hello):
            self.started = True
        elif not isinstance(message, BatchReport):
            self._on_event(message)
        elif self._report is not None and not self._report.done():
            self._report.set_result(message)

    def _fail(self) -> None:
        if self._report is not None and not self._report.done():
            self._report.set_exception(WorkerDied(started=self.started))
            self._report.exception()  # who waited may have gone: then nobody needs to hear of it


def _send(connection: Connection, outbox: _Outbox) -> None:
    """Send messages in order until None comes; what can't be sent is lost with the process, as the listener tells."""
    while (message := outbox.get()) is not None:
        with contextlib.suppress(OSError, ValueError):
            connection.send(message)
    connection.close()


def _listen(hear: Callable[[Any], None], connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
    """Pass the process's messages to the event loop until the process ends."""
    message: Any = ""
    while message is not None:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            message = None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(hear, message)
