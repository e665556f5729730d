"""Measure the event loop's lag while a worker computes at 100 % and commands keep coming.

    python -m benchmarks.loop_lag [--seconds 10] [--json]

A task sleeps for 5 ms again and again; how much later it wakes is the lag. The same is measured before, idle, so that
the machine's own noise is known.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time

from benchmarks.texts import mixed_texts
from bot.bundled.prepare import prepare
from bot.config import parse_settings
from bot.engine.engine import Engine
from bot.engine.job import Requester
from bot.tasks.sentiment.task import SentimentRequest
from bot.wiring import make_engine

TICK_S = 0.005
IN_FLIGHT = 64
MODEL = "bundled:minilm-sentiment"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    prepare(["minilm-sentiment"])
    result = asyncio.run(measure(options.seconds))
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:>22}: {value:8.2f}")


async def measure(seconds: float) -> dict[str, float]:
    """Return lag percentiles in milliseconds, idle and busy, and the jobs that were done meanwhile."""
    settings = parse_settings({"queue": {"per_user": IN_FLIGHT, "shutdown_grace_s": 0}})
    engine = make_engine(settings)
    await engine.start()
    await _ask(engine, "warm up")
    idle = await _lags(seconds / 2)
    done = [0]
    load = [asyncio.create_task(_load(engine, done, user)) for user in range(IN_FLIGHT)]
    busy = await _lags(seconds)
    for task in load:
        task.cancel()
    await asyncio.gather(*load, return_exceptions=True)
    await engine.close()
    return {
        "idle p50 ms": statistics.median(idle),
        "idle p99 ms": statistics.quantiles(idle, n=100)[98],
        "busy p50 ms": statistics.median(busy),
        "busy p99 ms": statistics.quantiles(busy, n=100)[98],
        "busy jobs a second": done[0] / seconds,
    }


async def _lags(seconds: float) -> list[float]:
    lags = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        await asyncio.sleep(TICK_S)
        lags.append(1_000 * (time.perf_counter() - started - TICK_S))
    return lags


async def _load(engine: Engine, done: list[int], user: int) -> None:
    texts = mixed_texts(200, seed=user)
    for number in range(1_000_000):
        await _ask(engine, texts[number % len(texts)], user)
        done[0] += 1


async def _ask(engine: Engine, text: str, user: int = 0) -> None:
    job = await engine.submit("sentiment", SentimentRequest(model=MODEL, text=text), Requester(user_id=user))
    await job.outcome()


if __name__ == "__main__":
    main()
