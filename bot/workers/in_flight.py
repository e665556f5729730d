"""Keep the batches that a worker has, and pass its events on to whoever handed them over."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.workers.protocol import BatchReport, Event, Loading


@dataclass(slots=True, eq=False)
class PendingBatch:
    """Hold one batch: the future of its report, the handler of its events, and the time of its last event.

    `loading`: a model is loaded for it, in a thread of its own. `heard_at` is in monotonic seconds.
    """

    report: asyncio.Future[BatchReport]
    on_event: Callable[[Event], None]
    loading: bool = False
    heard_at: float = field(default_factory=time.monotonic)

    @property
    def silent_s(self) -> float:
        """Return the seconds since its last sign of life."""
        return time.monotonic() - self.heard_at


class InFlight:
    """Number the batches of one worker."""

    def __init__(self) -> None:
        self._batches: dict[int, PendingBatch] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._batches)

    def add(self, on_event: Callable[[Event], None]) -> tuple[int, PendingBatch]:
        """Give a batch that is handed over a number."""
        number, batch = next(self._numbers), PendingBatch(asyncio.get_running_loop().create_future(), on_event)
        self._batches[number] = batch
        return number, batch

    def restart_clocks(self) -> None:
        """Count the silence of all batches from now on: the worker has only now opened its device."""
        for batch in self._batches.values():
            batch.heard_at = time.monotonic()

    def on_events(self, number: int, events: Sequence[Event | BatchReport]) -> None:
        """Call the handler of a batch with its events; a report ends the batch."""
        self._note_sign_of_life(number)
        batch = self._batches[number]
        for event in events:
            if isinstance(event, BatchReport):
                del self._batches[number]
                if not batch.report.done():
                    batch.report.set_result(event)
            else:
                batch.loading = isinstance(event, Loading)
                batch.on_event(event)

    def fail(self, error: Exception) -> None:
        """End all batches with an error in place of a report."""
        for batch in self._batches.values():
            if not batch.report.done():
                batch.report.set_exception(error)
                batch.report.exception()  # nobody may wait for it any more: asyncio shall not complain
        self._batches.clear()

    def _note_sign_of_life(self, number: int) -> None:
        """Note that a batch goes on, and the batches that it runs inside of: the same thread serves them.

        A batch whose model is loaded is left out: another thread does that, and may hang on its own.
        """
        for each, batch in self._batches.items():
            if each == number or (each < number and not batch.loading):
                batch.heard_at = time.monotonic()
