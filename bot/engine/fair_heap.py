"""Share a device fairly by weighted virtual time.

Start-time fair queueing (Goyal, Vin and Cheng, 1996): every lane has a virtual time that grows by the seconds it
used, divided by its weight; the lane that is furthest behind goes next. A lane that was idle restarts at the
present virtual time, so nobody saves up credit.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from bot.engine.job import Job

_SLACK = 64


class Lane(Protocol):
    """Be somebody who waits: `number` breaks ties between equal virtual times."""

    vtime: float
    weight: float
    number: int


Waiting = TypeVar("Waiting", bound=Lane)
_Entry = tuple[float, int, Waiting]


@dataclass(slots=True)
class FairHeap(Generic[Waiting]):
    """Order lanes by virtual time, the one furthest behind first. Every operation costs O(log lanes), amortised.

    An entry keeps the virtual time that its lane had when it came in. Lanes mostly move on, which is noticed when their
    entry reaches the top; one that moves back must be named to `decreased`.
    """

    _heap: list[_Entry[Waiting]] = field(default_factory=list)
    _entries: dict[int, _Entry[Waiting]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, lane: Waiting) -> None:
        """Let a lane take part; one that does already stays where it is."""
        if lane.number not in self._entries:
            self._push(lane)

    def discard(self, lane: Waiting) -> None:
        """Let a lane take part no more."""
        self._entries.pop(lane.number, None)
        if len(self._heap) > 2 * len(self._entries) + _SLACK:
            self._heap = list(self._entries.values())
            heapq.heapify(self._heap)

    def decreased(self, lane: Waiting) -> None:
        """Note that the virtual time of a lane went back."""
        if lane.number in self._entries:
            self._push(lane)

    def head(self) -> Waiting:
        """Return the lane that goes next; raise IndexError when there is none."""
        while True:
            entry = self._heap[0]
            vtime, number, lane = entry
            if self._entries.get(number) is not entry:
                heapq.heappop(self._heap)
            elif vtime < lane.vtime:
                self._entries[number] = (lane.vtime, number, lane)
                heapq.heapreplace(self._heap, self._entries[number])
            else:
                return lane

    def in_order(self) -> Iterator[Waiting]:
        """Yield the lanes, the one that goes next first; the first k cost O(k log k). Nothing may change meanwhile."""
        frontier = [(*entry, 0) for entry in self._heap[:1]]
        while frontier:
            vtime, number, lane, place = heapq.heappop(frontier)
            for child in (2 * place + 1, 2 * place + 2) if place >= 0 else ():
                if child < len(self._heap):
                    heapq.heappush(frontier, (*self._heap[child], child))
            if place >= 0 and self._entries.get(number) is not self._heap[place]:
                continue
            if vtime < lane.vtime:
                heapq.heappush(frontier, (lane.vtime, number, lane, -1))
            else:
                yield lane

    def _push(self, lane: Waiting) -> None:
        entry = (lane.vtime, lane.number, lane)
        self._entries[lane.number] = entry
        heapq.heappush(self._heap, entry)


def merge_by_vtime(
    lanes: Iterable[Waiting], jobs: Callable[[Waiting], Iterator[Job]], cost: Callable[[Job], float]
) -> Iterator[Job]:
    """Yield the jobs of lanes as they would be served if nothing else came. `lanes` come in order of virtual time."""
    closed = iter(lanes)
    following = next(closed, None)
    opened: list[tuple[float, int, Waiting, Iterator[Job]]] = []
    while opened or following is not None:
        while following is not None and (not opened or (following.vtime, following.number) <= opened[0][:2]):
            heapq.heappush(opened, (following.vtime, following.number, following, jobs(following)))
            following = next(closed, None)
        vtime, number, lane, theirs = opened[0]
        job = next(theirs, None)
        if job is None:
            heapq.heappop(opened)
            continue
        yield job
        heapq.heapreplace(opened, (vtime + cost(job) / lane.weight, number, lane, theirs))
