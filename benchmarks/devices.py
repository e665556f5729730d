"""Compare one CPU worker of one thread with two of them, on texts that come from many people.

    python -m benchmarks.devices [--texts 300] [--rounds 2] [--json]

Two workers count as two devices here. The model is a DistilBERT of full size with random weights, in fp32: with a small
one the bot process itself, which has no core of its own here, would be what is measured. Rounds alternate, so that a
noisy machine disturbs both alike; the best of each counts.
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
from bot.compose import make_engine
from bot.config import parse_settings
from bot.engine import Engine
from bot.inference.pipelines.sentiment import SentimentRequest
from bot.jobs.job import Requester

IN_FLIGHT = 128


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = f"path:{distilbert(Path(folder) / 'distilbert')}"
        result = asyncio.run(measure(model, mixed_texts(options.texts), options.rounds))
    print(json.dumps(result) if options.json else "\n".join(f"{k:>12}: {v:8.2f}" for k, v in result.items()))


async def measure(model: str, texts: list[str], rounds: int) -> dict[str, float]:
    """Return texts a second of both, and their ratio."""
    one, two = make(1), make(2)
    for engine in (one, two):
        await engine.start()
        await rate(engine, model, texts[:IN_FLIGHT])
    rates = [(await rate(one, model, texts), await rate(two, model, texts)) for _ in range(rounds)]
    for engine in (one, two):
        await engine.close()
    best_one, best_two = (max(column) for column in zip(*rates, strict=True))
    return {"one worker": best_one, "two workers": best_two, "ratio": best_two / best_one}


def make(workers: int) -> Engine:
    """Return an engine with this many workers of one thread each."""
    devices = {"use": ["cpu"] * workers, "threads": 1, "precision": "fp32"}
    return make_engine(parse_settings({"devices": devices, "queue": {"shutdown_grace_s": 0}}))


async def rate(engine: Engine, model: str, texts: list[str]) -> float:
    """Return texts a second, with IN_FLIGHT people asking one after another."""
    waiting = iter(texts)

    async def person(user: int) -> None:
        for text in waiting:
            request = SentimentRequest(model=model, text=text)
            await (await engine.submit("sentiment", request, Requester(user_id=user))).outcome()

    started = time.perf_counter()
    await asyncio.gather(*(person(user) for user in range(IN_FLIGHT)))
    return len(texts) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
