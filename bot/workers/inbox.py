"""Receive the bot's messages in a worker process, and preprocess jobs that will run soon.

The main thread computes. `listen` and `preprocess` run in threads of their own: a Cancel acts in the middle of a batch,
and tokens and pixels of the next batch are ready when the device is.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from bot.errors import one_line
from bot.tasks.base import Pipeline, Request
from bot.workers.batch_runner import preprocess
from bot.workers.model_cache import ModelCache
from bot.workers.protocol import Batch, BatchItem, Cancel, Forget, Prefetch, RunBatch, Stop

log = logging.getLogger(__name__)
ORPHANED, UNREADABLE = 0, 71
"""Exit codes of a worker whose bot is gone, and of one that can't read what the bot sends."""
_MOST_EARLY_CANCELS = 100
_MOST_BYTES = 256 << 20
"""Memory that preprocessed inputs may take together. What doesn't fit is preprocessed when its batch runs."""


@dataclass(slots=True, eq=False)
class _Job:
    """Hold a job that was sent ahead or is in a batch: its request, its preprocessed input and the size of that."""

    request: Request | None
    made: Any = None
    made_bytes: int = 0
    cancelled: bool = False


class Inbox:
    """Hold the batches to run (`runs`) and the jobs that the bot has sent.

    `end` is called with an exit code when nothing more will come. `most_bytes` bounds the preprocessed inputs.
    """

    def __init__(self, connection: Connection, *, end: Callable[[int], object], most_bytes: int = _MOST_BYTES) -> None:
        self.runs: queue.SimpleQueue[RunBatch | Stop] = queue.SimpleQueue()
        self._connection = connection
        self._end = end
        self._most_bytes = most_bytes
        self._made_bytes = 0
        self._jobs: dict[str, _Job] = {}
        self._early_cancels: deque[str] = deque(maxlen=_MOST_EARLY_CANCELS)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._prefetched: queue.SimpleQueue[Prefetch] = queue.SimpleQueue()

    @property
    def preprocessed_bytes(self) -> int:
        """Return the memory that the preprocessed inputs take."""
        return self._made_bytes

    def __len__(self) -> int:
        return len(self._jobs)

    def listen(self) -> None:
        """Receive messages until the bot goes away, or sends what can't be read."""
        try:
            while True:
                for message in self._connection.recv():
                    self._receive(message)
        except (EOFError, OSError):
            self._end(ORPHANED)
        except Exception as error:  # noqa: BLE001 - whatever a message raises while it is unpickled
            log.error("a message of the bot can't be read, so this worker ends: %s", one_line(error))  # noqa: TRY400
            self._end(UNREADABLE)

    def send(self, message: Any) -> None:
        """Send the bot a message; any thread may. Raise what pickling raises when it can't be sent."""
        with self._sending:
            self._connection.send(message)

    def preprocess(self, pipeline_of: Callable[[str], Pipeline], cache: ModelCache) -> None:
        """Preprocess jobs that were sent ahead, one after another, as long as the process lives."""
        while True:
            self._preprocess(self._prefetched.get(), pipeline_of, cache)

    def preprocessed(self, job_id: str) -> Any:
        """Return the preprocessed input of a job, or its UserError; None when there is neither."""
        job = self._jobs.get(job_id)
        return None if job is None else job.made

    def cancelled(self, job_id: str) -> bool:
        """Say whether a job was cancelled."""
        job = self._jobs.get(job_id)
        return job is not None and job.cancelled

    def completed(self, batch: Batch) -> Batch:
        """Return a batch with the requests that were sent ahead."""
        return replace(batch, items=tuple(map(self._completed, batch.items)))

    def forget(self, job_ids: Iterable[str]) -> None:
        """Drop everything about jobs that ended, or won't run here."""
        with self._lock:
            for job_id in job_ids:
                job = self._jobs.pop(job_id, None)
                if job is not None:
                    self._made_bytes -= job.made_bytes

    def _receive(self, message: RunBatch | Prefetch | Cancel | Forget | Stop) -> None:
        match message:
            case Prefetch(_, item):
                self._add([item])
                self._prefetched.put(message)
            case Cancel(job_id):
                self._cancel(job_id)
            case Forget(job_id):
                self.forget([job_id])
            case RunBatch(_, batch):
                self._add(batch.items)
                self.runs.put(message)
            case Stop():
                self.runs.put(message)

    def _add(self, items: Iterable[BatchItem]) -> None:
        with self._lock:
            for item in items:
                job = self._jobs.setdefault(item.job_id, _Job(item.request))
                if item.job_id in self._early_cancels:
                    self._early_cancels.remove(item.job_id)
                    job.cancelled = True

    def _cancel(self, job_id: str) -> None:
        """Note that a job was cancelled. One that isn't known has ended just now, or comes with a later message."""
        with self._lock:
            if job_id in self._jobs:
                self._jobs[job_id].cancelled = True
            else:
                self._early_cancels.append(job_id)

    def _preprocess(self, message: Prefetch, pipeline_of: Callable[[str], Pipeline], cache: ModelCache) -> None:
        job_id = message.item.job_id
        job = self._jobs.get(job_id)
        if job is None or job.request is None or self._made_bytes >= self._most_bytes:
            return
        try:
            made = preprocess(
                pipeline_of(message.task), job.request, cache.peek, lambda: self._is_unwanted(job_id, job)
            )
            made_bytes = memory_bytes(made)
        except Exception:  # the batch meets it again, and says so where it can be answered
            log.debug("job %s can't be preprocessed", job_id, exc_info=True)
            return
        self._keep(job_id, job, made, made_bytes)

    def _keep(self, job_id: str, job: _Job, made: Any, made_bytes: int) -> None:
        """Keep a preprocessed input, if the job wasn't forgotten meanwhile and there is room."""
        with self._lock:
            if self._jobs.get(job_id) is job and self._made_bytes + made_bytes <= self._most_bytes:
                job.made, job.made_bytes = made, made_bytes
                self._made_bytes += made_bytes

    def _is_unwanted(self, job_id: str, job: _Job) -> bool:
        return job.cancelled or self._jobs.get(job_id) is not job

    def _completed(self, item: BatchItem) -> BatchItem:
        job = self._jobs.get(item.job_id)
        return item if item.request is not None or job is None else replace(item, request=job.request)


def memory_bytes(value: Any) -> int:
    """Return about how many bytes a preprocessed input takes: its tensors and pictures by their own account."""
    if isinstance(size := getattr(value, "nbytes", None), int):  # tensors, arrays, DecodedImage
        return size
    if isinstance(value, bytes | str | int | float | None):
        return sys.getsizeof(value)
    if hasattr(value, "getbands"):  # a PIL image
        return int(value.width * value.height * len(value.getbands()))
    if is_dataclass(value):
        return sum(memory_bytes(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, dict):
        return sum(memory_bytes(part) for part in value.values())
    if isinstance(value, list | tuple):
        return sys.getsizeof(value) + sum(memory_bytes(part) for part in value)
    return sys.getsizeof(value)
