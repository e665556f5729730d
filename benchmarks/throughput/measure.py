"""Run the engines one after another in alternating rounds, so that a noisy machine disturbs all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.throughput.case import Case
from benchmarks.throughput.engine import Engine, Sample


@dataclass(frozen=True)
class Figures:
    """Hold an engine's best round: jobs a second, latencies in milliseconds, the ratio to the oracle."""

    engine: str
    setting: Any
    jobs_s: float
    p50_ms: float | None
    p99_ms: float | None
    ratio: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


async def measure(case: Case, engines: Sequence[Engine], rounds: int, note: Callable[[str], None]) -> list[Figures]:
    """Return the figures of each engine. All its settings run in the first round, the best one in the others."""
    best: dict[str, Figures] = {}
    for number in range(rounds):
        for engine in engines:
            known = best.get(engine.name)
            for setting in [known.setting] if known else engine.settings:
                found = _figures(engine.name, setting, await engine.run(case, setting), len(case.items))
                note(f"{case.name}, round {number + 1}: {engine.name} {setting or ''} {found.jobs_s:.1f} jobs/s")
                best[engine.name] = max(best.get(engine.name, found), found, key=lambda figures: figures.jobs_s)
    oracle = best["oracle"].jobs_s
    return [Figures(**(figures.as_dict() | {"ratio": figures.jobs_s / oracle})) for figures in best.values()]


def _figures(name: str, setting: Any, sample: Sample, count: int) -> Figures:
    cuts = statistics.quantiles(sample.latencies, n=100) if sample.latencies else None
    p50, p99 = (1_000 * cuts[49], 1_000 * cuts[98]) if cuts else (None, None)
    return Figures(name, setting, count / sample.seconds, p50, p99)
