"""Compare one CPU worker of one thread with two of them, on texts that come from many people.

    python -m benchmarks.devices [--task imagine|sentiment] [--jobs 48] [--rounds 2] [--json]

Two workers count as two devices here. imagine: pictures of the bundled model. sentiment: mixed texts on a DistilBERT of
full size with random weights, in fp32; its weights don't fit into a cache, so that two workers wait for the memory that
they share. Rounds alternate, so that a noisy machine disturbs both alike; the best of each counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

from benchmarks.texts import mixed_texts
from benchmarks.throughput.checkpoints import distilbert
from bot.bundled.prepare import prepare
from bot.config import parse_settings
from bot.engine.engine import Engine
from bot.engine.job import Requester
from bot.tasks.base import Request
from bot.tasks.imagine.task import ImagineRequest
from bot.tasks.sentiment.task import SentimentRequest
from bot.wiring import make_engine

IN_FLIGHT = 128


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--task", choices=("imagine", "sentiment"), default="imagine")
    parser.add_argument("--jobs", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_requests = pictures if options.task == "imagine" else texts
        requests = make_requests(Path(folder), options.jobs)
        result = asyncio.run(measure(options.task, requests, options.rounds))
    print(json.dumps(result) if options.json else "\n".join(f"{k:>12}: {v:8.2f}" for k, v in result.items()))


def pictures(_: Path, count: int) -> list[Request]:
    """Return requests for pictures."""
    prepare(["emoji-sd"])
    return [ImagineRequest(model="bundled:emoji-sd", prompt="a cat on red", seed=seed) for seed in range(count)]


def texts(folder: Path, count: int) -> list[Request]:
    """Return requests for sentiments, from a model made in `folder`."""
    model = f"path:{distilbert(folder / 'distilbert')}"
    return [SentimentRequest(model=model, text=text) for text in mixed_texts(count)]


async def measure(task: str, requests: list[Request], rounds: int) -> dict[str, float]:
    """Return jobs a second of both, and their ratio."""
    one, two = make(1), make(2)
    for engine in (one, two):
        await engine.start()
        await rate(engine, task, requests[: len(requests) // 3])
    rates = [(await rate(one, task, requests), await rate(two, task, requests)) for _ in range(rounds)]
    for engine in (one, two):
        await engine.close()
    best_one, best_two = (max(column) for column in zip(*rates, strict=True))
    return {"one worker": best_one, "two workers": best_two, "ratio": best_two / best_one}


def make(workers: int) -> Engine:
    """Return an engine with this many workers of one thread each."""
    devices = {"use": ["cpu"] * workers, "threads": 1, "precision": "fp32"}
    return make_engine(parse_settings({"devices": devices, "queue": {"shutdown_grace_s": 0}}))


async def rate(engine: Engine, task: str, requests: list[Request]) -> float:
    """Return jobs a second, with IN_FLIGHT people asking one after another."""
    waiting = iter(requests)

    async def person(user: int) -> None:
        for request in waiting:
            await (await engine.submit(task, request, Requester(user_id=user))).outcome()

    started = time.perf_counter()
    await asyncio.gather(*(person(user) for user in range(IN_FLIGHT)))
    return len(requests) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
