"""Take the parent's messages in a worker process, and get jobs ready that will run soon."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from bot.tasks.base import Pipeline, Request
from bot.workers.batch_runner import preprocess
from bot.workers.model_cache import ModelCache
from bot.workers.protocol import Batch, BatchItem, Cancel, Forget, Prefetch, Run, Stop

log = logging.getLogger(__name__)


class Inbox:
    """Sort what the parent sends, in a thread of its own.

    `runs` are the batches to run, `cancelled` the jobs that were stopped, `preprocessed` the inputs that were made
    ahead of their turn.
    """

    def __init__(self, connection: Connection, *, on_orphaned: Callable[[], object]) -> None:
        self.runs: queue.SimpleQueue[Run | Stop] = queue.SimpleQueue()
        self.cancelled: set[str] = set()
        self.preprocessed: dict[str, Any] = {}
        self._connection = connection
        self._on_orphaned = on_orphaned
        self._sending = threading.Lock()
        self._requests: dict[str, Request] = {}
        self._preparing: queue.SimpleQueue[Prefetch] = queue.SimpleQueue()

    def listen(self) -> None:
        """Sort messages until the parent goes away."""
        try:
            while True:
                for message in self._connection.recv():
                    self._sort(message)
        except (EOFError, OSError):
            self._on_orphaned()

    def send(self, message: Any) -> None:
        """Tell the parent something; any thread may."""
        with self._sending:
            self._connection.send(message)

    def preprocess(self, pipeline_of: Callable[[str], Pipeline], cache: ModelCache) -> None:
        """Get jobs ready, one after another, as long as the process lives."""
        while True:
            self._prepare(self._preparing.get(), pipeline_of, cache)

    def completed(self, batch: Batch) -> Batch:
        """Return a batch with the requests that were sent ahead."""
        return replace(batch, items=tuple(map(self._completed, batch.items)))

    def forget(self, job_ids: Iterable[str]) -> None:
        """Drop everything about jobs that ended, or run elsewhere."""
        for job_id in job_ids:
            self.cancelled.discard(job_id)
            self.preprocessed.pop(job_id, None)
            self._requests.pop(job_id, None)

    def _sort(self, message: Run | Prefetch | Cancel | Forget | Stop) -> None:
        match message:
            case Prefetch(_, BatchItem(job_id, Request() as request)):
                self._requests[job_id] = request
                self._preparing.put(message)
            case Cancel(job_id):
                self.cancelled.add(job_id)
            case Forget(job_id):
                self.forget([job_id])
            case Run() | Stop():
                self.runs.put(message)

    def _prepare(self, message: Prefetch, pipeline_of: Callable[[str], Pipeline], cache: ModelCache) -> None:
        job_id = message.item.job_id
        request = self._requests.get(job_id)
        if request is None:
            return
        try:
            made = preprocess(pipeline_of(message.task), request, cache.peek)
        except Exception:  # the batch meets it again, and says so where it can be answered
            log.debug("job %s can't be prepared", job_id, exc_info=True)
            return
        if made is not None and job_id in self._requests:
            self.preprocessed[job_id] = made

    def _completed(self, item: BatchItem) -> BatchItem:
        return item if item.request is not None else replace(item, request=self._requests.get(item.job_id))
