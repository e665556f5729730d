"""Define the seam between the queue and whatever runs batches: an executor and its devices.

vLLM's executor has the same place. `bot.workers.local` is the one that runs; tests have one without models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bot.workers.protocol import Batch, BatchItem, BatchReport, Event


class WorkerDied(Exception):
    """Tell that the worker was lost: killed, crashed or hanging. It may never have `started`."""

    def __init__(self, *, started: bool = True) -> None:
        super().__init__()
        self.started = started


class DeviceHandle(Protocol):
    """Drive one device. One batch runs on it at a time, and others between the steps of a preemptible one."""

    @property
    def name(self) -> str:
        """Return the device's name, which no other device has."""

    @property
    def available(self) -> bool:
        """Say whether a batch can be run now; not so after a death, until there is another worker."""

    @property
    def unproven(self) -> bool:
        """Say whether the last worker died before its device was open, and none has opened it since.

        Such a device is available all the same, for when there is no other.
        """

    @property
    def loaded(self) -> Mapping[str, int]:
        """Return the references of the models that are in memory, with their bytes."""

    @property
    def budget_bytes(self) -> int | None:
        """Return what the loaded models may take together; None while the device wasn't opened."""

    def prefetch(self, task: str, item: BatchItem) -> None:
        """Preprocess a job that will run soon, while the device works on others."""

    def forget(self, job_id: str) -> None:
        """Drop a job of `prefetch` that won't run here."""

    async def run(self, batch: Batch, on_event: Callable[[Event], None]) -> BatchReport:
        """Run a batch; every job of it is answered by an event before this returns.

        Raise WorkerDied when the worker was lost. The device isn't available then, until there is another worker.
        """

    def cancel(self, job_id: str) -> None:
        """Ask the running job to stop at its next step."""


class Executor(Protocol):
    """Own the devices."""

    @property
    def devices(self) -> Sequence[DeviceHandle]:
        """Return the devices, free or not."""

    async def start(self, on_available: Callable[[], None]) -> None:
        """Make the devices ready to be called; `on_available` is called whenever one comes back."""

    async def close(self) -> None:
        """Stop every worker and leave no process behind."""
