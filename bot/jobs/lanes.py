"""Share a device fairly by weighted virtual time.

Start-time fair queueing (Goyal, Vin and Cheng, 1996): every lane has a virtual time that grows by the seconds it
used, divided by its weight; the lane that is furthest behind goes next. A lane that was idle restarts at the
present virtual time, so nobody saves up credit. All operations cost O(log lanes), amortised.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar

_SWEEP_AT = 1024


class _Schedulable(Protocol):
    vtime: float
    weight: float

    def __len__(self) -> int: ...


Child = TypeVar("Child", bound=_Schedulable)


class FairSchedule(Generic[Child]):
    """Order child lanes by virtual time. A child is scheduled while `len(child)` is not 0."""

    def __init__(self) -> None:
        self.children: dict[Hashable, Child] = {}
        self._heap: list[tuple[float, int, Child]] = []
        self._ticket = itertools.count()
        self._now = 0.0

    def activate(self, child: Child) -> None:
        """Schedule a child that just got its first entry."""
        child.vtime = max(child.vtime, self._now)
        self._push(child)

    def head(self) -> Child:
        """Return the child that goes next; raise IndexError when there is none."""
        while True:
            vtime, _, child = self._heap[0]
            if len(child) and vtime == child.vtime:
                return child
            heapq.heappop(self._heap)

    def advance(self) -> None:
        """Move the present to the virtual time of the child that goes now."""
        self._now = max(self._now, self.head().vtime)

    def charge(self, child: Child, seconds: float) -> None:
        """Add `seconds` (or give them back, when negative) to what the child used."""
        if seconds:
            child.vtime += seconds / child.weight
            if len(child):
                self._push(child)

    def forget_idle(self) -> None:
        """Drop children that are idle and owe nothing, once there are many."""
        if len(self.children) >= _SWEEP_AT and len(self.children) > 2 * len(self._heap):
            keep = {k: c for k, c in self.children.items() if len(c) or c.vtime > self._now}
            self.children = keep

    def in_order(self) -> Iterator[Child]:
        """Yield the scheduled children, the one that goes next first."""
        seen: set[int] = set()
        for vtime, _, child in sorted(self._heap, key=lambda entry: entry[:2]):
            if len(child) and vtime == child.vtime and id(child) not in seen:
                seen.add(id(child))
                yield child

    def _push(self, child: Child) -> None:
        heapq.heappush(self._heap, (child.vtime, next(self._ticket), child))
