"""Define the seam between the queue and whatever runs batches: an executor and its devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from bot.inference.messages import Batch, BatchReport, Event


class WorkerDied(Exception):
    """Tell that the worker was lost: killed, crashed or hanging. It may never have `started`."""

    def __init__(self, *, started: bool = True) -> None:
        super().__init__()
        self.started = started


class DeviceHandle(Protocol):
    """Drive one device. One batch runs on it at a time."""

    @property
    def name(self) -> str:
        """Return the device's name, as torch writes it."""

    @property
    def warm(self) -> frozenset[str]:
        """Return the references of the models that are loaded."""

    async def run(self, batch: Batch, on_event: Callable[[Event], None]) -> BatchReport:
        """Run a batch; raise WorkerDied when the worker was lost, after which the next call starts a new one."""

    def cancel(self, job_id: str) -> None:
        """Ask the running job to stop at its next step."""


class Executor(Protocol):
    """Own the devices."""

    @property
    def devices(self) -> Sequence[DeviceHandle]:
        """Return the devices, free or not."""

    async def start(self) -> None:
        """Make the devices ready to be called."""

    async def close(self) -> None:
        """Stop every worker and leave no process behind."""
