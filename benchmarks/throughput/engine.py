"""Define what an engine is for the benchmark, and keep 64 questions in flight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.throughput.case import Case

IN_FLIGHT = 64
Ask = Callable[[str], Awaitable[Any]]


@dataclass(frozen=True)
class Sample:
    """Hold one run: the seconds that all items took, and each item's own; an offline run has none of these."""

    seconds: float
    latencies: Sequence[float] = ()


class Engine(Protocol):
    """Answer all items of a case. The best of `settings` counts."""

    name: str
    settings: Sequence[Any]

    async def run(self, case: Case, setting: Any) -> Sample:
        """Start, warm up, measure, and leave no process behind."""


async def ask_all(case: Case, ask: Ask) -> Sample:
    """Warm up, then ask for all items, IN_FLIGHT at a time, the next one as soon as one is answered."""
    await _ask_each(case.warm_up, ask)
    started = time.perf_counter()
    latencies = await _ask_each(case.items, ask)
    return Sample(time.perf_counter() - started, latencies)


async def _ask_each(items: Sequence[str], ask: Ask) -> list[float]:
    waiting = iter(items)
    latencies = []

    async def client() -> None:
        for item in waiting:
            started = time.perf_counter()
            await ask(item)
            latencies.append(time.perf_counter() - started)

    await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
    return latencies
