"""Hold one life of a worker process in the bot: exchange messages with it without blocking the event loop."""

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
from bot.workers.in_flight import InFlight, PendingBatch
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
    RunBatch,
    Stop,
    Unloaded,
)

log = logging.getLogger(__name__)
_JOIN_S = 2.0
_MOST_AHEAD_BYTES = 128 << 20
"""Files of pictures that are sent ahead of their batches, together; the worker keeps them in memory."""
_spawn = multiprocessing.get_context("spawn")
_Message = RunBatch | Prefetch | Forget | Cancel | Stop
_Outbox = queue.SimpleQueue[Sequence[_Message] | None]


class WorkerProcess:
    """Spawn a worker process and exchange messages with it.

    One thread sends, since a pipe whose reader hangs blocks; one listens. `dead` is set when the process is gone, or
    given up; then `on_death` is called. `ready` is its message that its device is open; then `on_open` is called.
    `loaded` are the models in its memory, with their bytes; `ahead` the jobs that were sent ahead, with theirs.
    A message that can't be sent or read ends the process: nobody knows what would be missing.
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
        self.ahead: dict[str, int] = {}
        self.born_at = time.monotonic()
        self._outbox: _Outbox = queue.SimpleQueue()
        self._gathered: list[_Message] = []
        self._in_flight = InFlight()
        loop = asyncio.get_running_loop()
        self._start_threads(ours, loop)

    def run(self, batch: Batch, on_event: Callable[[Event], None]) -> PendingBatch:
        """Hand over a batch; its future gets the report, or WorkerDied."""
        number, pending = self._in_flight.add(on_event)
        if self.dead.is_set():
            self._in_flight.fail(self._death())
        else:
            self._put(RunBatch(number, self._without_known(batch)))
        return pending

    def prefetch(self, task: str, item: BatchItem) -> None:
        """Send a job ahead, so that it is preprocessed when its turn comes; not more than the worker may hold."""
        size = 0 if item.request is None else item.request.input_bytes
        if item.job_id not in self.ahead and sum(self.ahead.values()) + size <= _MOST_AHEAD_BYTES:
            self.ahead[item.job_id] = size
            self._put(Prefetch(task, item))

    def forget(self, job_id: str) -> None:
        """Take back a job that was sent ahead."""
        if job_id in self.ahead:
            del self.ahead[job_id]
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
            self._in_flight.fail(self._death())

    async def stop(self, grace_s: float) -> None:
        """Ask the process to end, then make it. One that computes, or hasn't opened its device, isn't waited for."""
        if self.ready and not self._in_flight:
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
        for item in items:
            self.ahead.pop(item.job_id, None)
        return replace(batch, items=items)

    def _start_threads(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        name = self.process.name
        sender = threading.Thread(target=self._send, args=(connection,), name=f"{name}-send", daemon=True)
        listener = threading.Thread(target=self._listen, args=(connection, loop), name=f"{name}-listen", daemon=True)
        try:
            sender.start()
            listener.start()
        except RuntimeError:  # the system has no more threads: leave nothing behind
            self._outbox.put(None)
            self.kill()
            raise

    def _on_message(self, message: Any) -> None:
        """Take a message of the process; None says that it is lost."""
        if self.dead.is_set():
            return
        try:
            self._take(message)
        except Exception:
            log.exception("a message of worker %s can't be used, so it is ended", self.process.pid)
            self._lose()

    def _take(self, message: Any) -> None:
        match message:
            case None:
                self._lose()
            case Ready():
                self.ready = message
                self.opened_or_dead.set()
                self._in_flight.restart_clocks()
                self._on_open()
            case Unloaded(loaded):
                self.loaded = loaded
            case number, events:
                if isinstance(report := events[-1], BatchReport):
                    self.loaded = report.loaded
                self._in_flight.on_events(number, events)

    def _lose(self) -> None:
        self.kill()
        self.give_up()

    def _death(self) -> WorkerDied:
        return WorkerDied(started=self.ready is not None)

    def _send(self, connection: Connection) -> None:
        """Send messages in order until None comes. What isn't sent to a dead process is lost with it."""
        while (messages := self._outbox.get()) is not None:
            try:
                connection.send(messages)
            except (BrokenPipeError, ConnectionResetError):
                continue
            except Exception:
                log.exception("a message to worker %s can't be sent, so it is ended", self.process.pid)
                self.kill()
        connection.close()

    def _listen(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Pass the process's messages to the event loop until the process ends, or sends what can't be read."""
        message: Any = ""
        while message is not None:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                message = None
            except Exception:
                log.exception("a message of worker %s can't be read, so it is ended", self.process.pid)
                message = None
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._on_message, message)
