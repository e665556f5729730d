"""Run batches in this process, without models, as the test says."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bot.errors import JobCancelled
from bot.tasks.base import Failure, Outcome, Request
from bot.workers.executor import WorkerDied
from bot.workers.protocol import Answered, Batch, BatchItem, BatchReport, Event, Loading, Progress, Started
from tests.fakes.answers import answer


class FakeDevice:
    """Answer at once; between `hold` and `release` batches stay on the device.

    `waiting` is put around the wait of a held batch. `deaths` is how many more times the worker dies, `seconds` what a
    batch is said to take. One that doesn't `start` goes on loading models until it is told to.
    A device that doesn't `obey` runs cancelled jobs on until it is released. One that doesn't `open` has workers that
    die of every batch, before they could begin.
    """

    def __init__(self, name: str = "cpu") -> None:
        self.name = name
        self.loaded: dict[str, int] = {}
        self.budget_bytes: int | None = None
        self.available = True
        self.unproven = False
        self.on_available: Callable[[], None] = lambda: None
        self.prefetched: list[str] = []
        self.forgotten: list[str] = []
        self.batches: list[Batch] = []
        self.cancelled: list[str] = []
        self.deaths = 0
        self.seconds = 0.01
        self.obeys = True
        self.starts = True
        self.opens = True
        self.waiting: Callable[[Awaitable[Any]], Awaitable[Any]] = lambda wait: wait
        self._held = False
        self._woken = asyncio.Event()
        self._next: deque[Outcome] = deque()
        self._on_event: Callable[[Event], None] = lambda _: None

    @property
    def requests(self) -> list[Request]:
        """Return every request that ever ran, in order."""
        return [item.request for batch in self.batches for item in batch.items if item.request is not None]

    def hold(self) -> None:
        """Keep every batch from now on."""
        self._held = True

    def release(self) -> None:
        """Let go of what is held, and hold no more."""
        self._held = False
        self._wake()

    def answers(self, *outcomes: Outcome) -> None:
        """Give these outcomes to the next jobs instead of plausible ones."""
        self._next.extend(outcomes)

    def loading(self, share: float | None = None) -> None:
        """Tell that the model of the batch on the device is made ready."""
        self._on_event(Loading(self.requests[-1].model, share))

    def started(self) -> None:
        """Tell that the model is ready."""
        self._on_event(Started())

    def progress(self, step: int, steps: int) -> None:
        """Tell how far the first job of the batch on the device is."""
        self._on_event(Progress(self.batches[-1].items[0].job_id, step, steps))

    def prefetch(self, task: str, item: BatchItem) -> None:  # noqa: ARG002
        """Note that a job should be got ready."""
        self.prefetched.append(item.job_id)

    def forget(self, job_id: str) -> None:
        """Note that a job won't run here."""
        self.forgotten.append(job_id)

    async def run(self, batch: Batch, on_event: Callable[[Event], None]) -> BatchReport:
        """Run a batch."""
        self.batches.append(batch)
        self._on_event = on_event
        if not self.opens:
            raise self._death(started=False)
        if self.starts:
            on_event(Started())
        while self._held and not self._stopped(batch):
            await self.waiting(self._woken.wait())
        if self.deaths:
            self.deaths -= 1
            raise self._death(started=True)
        self.loaded |= {item.request.model: 1 for item in batch.items if item.request}
        for item in batch.items:
            on_event(Answered(item.job_id, self._outcome(item), self.seconds / len(batch.items)))
        return BatchReport(self.seconds, self.loaded)

    def cancel(self, job_id: str) -> None:
        """Stop a job that is held."""
        self.cancelled.append(job_id)
        self._wake()

    def _stopped(self, batch: Batch) -> bool:
        return self.obeys and all(item.job_id in self.cancelled for item in batch.items)

    def _outcome(self, item: BatchItem) -> Outcome:
        if item.job_id in self.cancelled:
            return Failure(JobCancelled("Cancelled."))
        assert item.request is not None
        return self._next.popleft() if self._next else answer(item.request)

    def _death(self, *, started: bool) -> WorkerDied:
        """Lose the worker; the next one is there after the present round of the event loop."""
        self.available, self.unproven = False, not started
        asyncio.get_running_loop().call_soon(self._revive)
        return WorkerDied(started=started)

    def _revive(self) -> None:
        self.available = True
        self.on_available()

    def _wake(self) -> None:
        self._woken.set()
        self._woken = asyncio.Event()


class FakeExecutor:
    """Own fake devices."""

    def __init__(self, *devices: FakeDevice) -> None:
        self._devices = devices or (FakeDevice(),)
        self.closed = False

    @property
    def devices(self) -> Sequence[FakeDevice]:
        """Return the devices."""
        return self._devices

    async def start(self, on_available: Callable[[], None]) -> None:
        """Remember what is called when a device comes back."""
        self.on_available = on_available
        for device in self._devices:
            device.on_available = on_available

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed = True
