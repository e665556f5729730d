"""Measure how long /sentiment waits while pictures are made back to back, with and without guests between their steps.

    python -m benchmarks.mixed [--seconds 30] [--every 0.5] [--threads 1] [--json]

Two pictures of 50 steps are always wanted. Meanwhile a person asks for a sentiment every `--every` seconds, at random
moments. Printed: p50 and p95 of the time from asking to the answer, the time of a step, and how long a picture takes,
alone and with the guests. Both ways run in one process after another, on the bundled models.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time

from bot.bundled.prepare import prepare
from bot.config import parse_settings
from bot.engine.engine import Engine
from bot.engine.job import Requester
from bot.tasks.imagine.task import ImagineRequest
from bot.tasks.sentiment.task import SentimentRequest
from bot.wiring import make_engine

STEPS = 50
PAINTER, READER = Requester(user_id=1), Requester(user_id=2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=0.5, help="mean seconds between two texts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    prepare(["minilm-sentiment", "emoji-sd"])
    result = {
        name: asyncio.run(measure(options, share))
        for name, share in (("no texts", None), ("texts wait for pictures", 0.0), ("texts are guests", 0.3))
    }
    if options.json:
        print(json.dumps(result))
        return
    for name, row in result.items():
        print(f"{name:>24}: " + ", ".join(f"{key} {value:.3f}" for key, value in row.items()))


async def measure(options: argparse.Namespace, share: float | None) -> dict[str, float]:
    """Return seconds; a `share` of None asks for no texts at all."""
    devices = {"use": ["cpu"], "threads": options.threads}
    settings = parse_settings({"queue": {"guest_share": share or 0.0, "shutdown_grace_s": 0}, "devices": devices})
    engine = make_engine(settings)
    await engine.start()
    await text_s(engine)
    await picture_s(engine)
    pictures: list[float] = []
    painting = [asyncio.create_task(paint(engine, pictures)) for _ in range(2)]
    await asyncio.sleep(1.0)
    waits = [] if share is None else await read(engine, options)
    if share is None:
        await asyncio.sleep(options.seconds)
    for task in painting:
        task.cancel()
    await asyncio.gather(*painting, return_exceptions=True)
    await engine.close()
    return summary(pictures[1:], waits)


def summary(pictures: list[float], waits: list[float]) -> dict[str, float]:
    """Return medians and percentiles in seconds."""
    row = {"picture p50": statistics.median(pictures), "step": statistics.median(pictures) / STEPS}
    if waits:
        row |= {"text p50": statistics.median(waits), "text p95": statistics.quantiles(waits, n=20)[18]}
    return row


async def paint(engine: Engine, took: list[float]) -> None:
    """Ask for one picture after another."""
    while True:
        took.append(await picture_s(engine))


async def read(engine: Engine, options: argparse.Namespace) -> list[float]:
    """Ask for sentiments at random moments."""
    chooser, waits = random.Random(0), []
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        waits.append(await text_s(engine))
        await asyncio.sleep(chooser.expovariate(1 / options.every))
    return waits


async def picture_s(engine: Engine) -> float:
    """Return the seconds that a picture ran, from its first step to its end."""
    request = ImagineRequest(model="bundled:emoji-sd", prompt="a cat on red", seed=1, steps=STEPS)
    job = await engine.submit("imagine", request, PAINTER)
    async for status in job.follow():
        if status.step:
            break
    started = time.perf_counter()
    await job.outcome()
    return time.perf_counter() - started


async def text_s(engine: Engine) -> float:
    """Return the seconds from asking for a sentiment to the answer."""
    request = SentimentRequest(model="bundled:minilm-sentiment", text="what a lovely day this is")
    started = time.perf_counter()
    await (await engine.submit("sentiment", request, READER)).outcome()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
