"""Follow the batches that a worker has, and how long each of them has been silent."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.workers.protocol import BatchReport, Event, Loading


@dataclass(slots=True, eq=False)
class Flight:
    """Remember a batch: who waits for its report, who hears of its events, when something was last heard of it.

    `loading`: a model is made ready for it, in a thread of its own. `heard_at` is in monotonic seconds.
    """

    report: asyncio.Future[BatchReport]
    on_event: Callable[[Event], None]
    loading: bool = False
    heard_at: float = field(default_factory=time.monotonic)

    @property
    def silent_s(self) -> float:
        """Return the seconds since something was heard of it."""
        return time.monotonic() - self.heard_at


class Flights:
    """Number the batches of a worker, and pass on what it says of them."""

    def __init__(self) -> None:
        self._flights: dict[int, Flight] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._flights)

    def add(self, on_event: Callable[[Event], None]) -> tuple[int, Flight]:
        """Give a batch that is handed over a number."""
        number, flight = next(self._numbers), Flight(asyncio.get_running_loop().create_future(), on_event)
        self._flights[number] = flight
        return number, flight

    def heard(self) -> None:
        """Note that the worker is well, which it can't say of its batches yet."""
        for flight in self._flights.values():
            flight.heard_at = time.monotonic()

    def hear(self, number: int, events: Sequence[Event | BatchReport]) -> None:
        """Pass on what the worker says of a batch."""
        self._extend(number)
        flight = self._flights[number]
        for event in events:
            if not isinstance(event, BatchReport):
                flight.loading = isinstance(event, Loading)
                flight.on_event(event)
                continue
            del self._flights[number]
            if not flight.report.done():
                flight.report.set_result(event)

    def fail(self, error: Exception) -> None:
        """Tell all who wait that there will be no report."""
        for flight in self._flights.values():
            if not flight.report.done():
                flight.report.set_exception(error)
                flight.report.exception()  # who waited may have gone: then nobody needs to hear of it
        self._flights.clear()

    def _extend(self, number: int) -> None:
        """Note a sign of life of a batch, and of those that it runs inside of: their thread serves it.

        A model is loaded in another thread, of whose life it tells nothing.
        """
        for each, flight in self._flights.items():
            if each == number or (each < number and not flight.loading):
                flight.heard_at = time.monotonic()
