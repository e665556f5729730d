"""Choose the jobs that devices get ready while they work on others."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from bot.engine.job import Job
from bot.workers.executor import DeviceHandle
from bot.workers.protocol import BatchItem

MOST = 64
"""How many jobs are ready at a time: a large batch. Each holds a request, at most a picture, in the worker."""


class Prefetcher:
    """Send the jobs that are next in line to busy devices that have their model in memory."""

    def __init__(self) -> None:
        self._sent: dict[str, DeviceHandle] = {}

    def fill(self, upcoming: Iterable[Job], busy: Iterable[DeviceHandle]) -> None:
        """Get the next jobs ready, as many as are missing."""
        devices = list(busy)
        if devices and len(self._sent) < MOST:
            for job in islice(upcoming, MOST):
                self.prefetch(job, devices)

    def prefetch(self, job: Job, busy: Iterable[DeviceHandle]) -> None:
        """Get one job ready if there is room.

        A preemptible one has nothing that could be done ahead. A device gets no input that is still in the store.
        """
        if len(self._sent) >= MOST or job.id in self._sent or job.request.preemptible or job.stored_bytes:
            return
        device = next((device for device in busy if job.request.model in device.loaded), None)
        if device is not None:
            self._sent[job.id] = device
            device.prefetch(job.task, BatchItem(job.id, job.request))

    def discard(self, job: Job, device: DeviceHandle | None = None) -> None:
        """Note that a job runs on `device`, or nowhere."""
        ready_on = self._sent.pop(job.id, None)
        if ready_on is not None and ready_on is not device:
            ready_on.forget(job.id)
