"""Hold one life of a worker process: talk to it without ever blocking the event loop."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from bot.workers.executor import WorkerDied
from bot.workers.in_flight import Flight, Flights
from bot.workers.main import WorkerOptions, worker_main
from bot.workers.protocol import (
    Batch,
    BatchItem,
    BatchReport,
    Cancel,
    Event,
    Forget,
    Prefetch,
    Ready,
    Run,
    Stop,
    Unloaded,
)

log = logging.getLogger(__name__)
_JOIN_S = 2.0
_spawn = multiprocessing.get_context("spawn")
_Message = Run | Prefetch | Forget | Cancel | Stop
_Outbox = queue.SimpleQueue[Sequence[_Message] | None]


class WorkerProcess:
    """Spawn a worker process and exchange messages with it.

    One thread sends, since a pipe whose reader hangs blocks; one listens. `dead` is set when the process is gone, or
    given up; then `on_death` is called. `ready` is what it said when its device was open; then `on_open` is called.
    `loaded` are the models in its memory, with their bytes; `ahead` the jobs whose requests it has already.
    """

    def __init__(
        self, options: WorkerOptions, *, name: str, on_open: Callable[[], None], on_death: Callable[[], None]
    ) -> None:
        ours, theirs = _spawn.Pipe()
        name = f"hubcord-{name}"
        self.process = _spawn.Process(target=worker_main, args=(theirs, options), name=name, daemon=True)
        self.process.start()
        atexit.register(self.kill)  # multiprocessing would ask with SIGTERM, and wait
        theirs.close()
        self.dead = asyncio.Event()
        self.opened_or_dead = asyncio.Event()
        self._on_open = on_open
        self._on_death = on_death
        self.ready: Ready | None = None
        self.loaded: Mapping[str, int] = {}
        self.ahead: set[str] = set()
        self.born_at = time.monotonic()
        self._outbox: _Outbox = queue.SimpleQueue()
        self._gathered: list[_Message] = []
        self._flights = Flights()
        loop = asyncio.get_running_loop()
        threading.Thread(target=_send, args=(ours, self._outbox), name=f"{name}-send", daemon=True).start()
        threading.Thread(target=_listen, args=(self._hear, ours, loop), name=f"{name}-listen", daemon=True).start()

    def run(self, batch: Batch, on_event: Callable[[Event], None]) -> Flight:
        """Hand over a batch; its flight gets the report, or WorkerDied."""
        number, flight = self._flights.add(on_event)
        if self.dead.is_set():
            self._flights.fail(self._death())
        else:
            self._put(Run(number, self._without_known(batch)))
        return flight

    def prefetch(self, task: str, item: BatchItem) -> None:
        """Send a job ahead, so that it is ready when its turn comes."""
        if item.job_id not in self.ahead:
            self.ahead.add(item.job_id)
            self._put(Prefetch(task, item))

    def forget(self, job_id: str) -> None:
        """Take back a job that was sent ahead."""
        if job_id in self.ahead:
            self.ahead.discard(job_id)
            self._put(Forget(job_id))

    def cancel(self, job_id: str) -> None:
        """Ask the running job to stop at its next step."""
        self._put(Cancel(job_id))

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(OSError, ValueError):
            self.process.kill()

    def give_up(self) -> None:
        """Take the process for dead, which it may be as soon as the system lets it."""
        if not self.dead.is_set():
            self.dead.set()
            self.opened_or_dead.set()
            self._on_death()
            self._flights.fail(self._death())

    async def stop(self, grace_s: float) -> None:
        """Ask the process to end, then make it. One that computes, or hasn't opened its device, isn't waited for."""
        if self.ready and not self._flights:
            self._put(Stop())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.dead.wait(), grace_s)
        self.kill()
        await self.join()

    async def join(self) -> int | None:
        """Wait until the process is gone, and return its exit code."""
        await asyncio.to_thread(self.process.join, _JOIN_S)
        atexit.unregister(self.kill)
        self._outbox.put(None)
        return self.process.exitcode

    def _put(self, message: _Message) -> None:
        """Send a message, together with all others of this round of the event loop: each waking costs the worker."""
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._gathered.append(message)

    def _hand_over(self) -> None:
        self._outbox.put(self._gathered)
        self._gathered = []

    def _without_known(self, batch: Batch) -> Batch:
        """Leave out the requests that the worker has already."""
        items = tuple(replace(item, request=None) if item.job_id in self.ahead else item for item in batch.items)
        self.ahead.difference_update(item.job_id for item in items)
        return replace(batch, items=items)

    def _hear(self, message: Any) -> None:
        """Take a message of the process; None says that it ended."""
        if message is None:
            self.give_up()
        elif self.dead.is_set():
            return
        elif isinstance(message, Ready):
            self.ready = message
            self.opened_or_dead.set()
            self._flights.heard()
            self._on_open()
        elif isinstance(message, Unloaded):
            self.loaded = message.loaded
        else:
            self._pass_on(*message)

    def _pass_on(self, number: int, events: Sequence[Event | BatchReport]) -> None:
        if isinstance(report := events[-1], BatchReport):
            self.loaded = report.loaded
        self._flights.hear(number, events)

    def _death(self) -> WorkerDied:
        return WorkerDied(started=self.ready is not None)


def _send(connection: Connection, outbox: _Outbox) -> None:
    """Send messages in order until None comes. What can't be sent is lost with the process, as the listener tells."""
    while (messages := outbox.get()) is not None:
        with contextlib.suppress(OSError, ValueError):
            connection.send(messages)
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
