"""Measure the resident memory of a worker while it answers many short texts, and how fast it does.

    python -m benchmarks.worker_memory [--jobs 20000] [--alike]

A worker of one CPU device classifies texts of 5 to 35 words in batches of 1 to 64, always the same ones; with `--alike`
all texts are equal. A line is printed after 200, 1,000 and each further 1,000 texts.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import time
from collections.abc import Iterator

import psutil

from bot.bundled.prepare import prepare
from bot.config import load_settings
from bot.machine.device import Device
from bot.tasks.sentiment.task import SentimentRequest
from bot.workers.local import LocalDevice, LocalExecutor
from bot.workers.main import WorkerOptions
from bot.workers.protocol import Batch, BatchItem

_MODEL = "bundled:minilm-sentiment"
_WORDS = "the game was really great but this update is so slow today and nobody likes it at all".split()  # noqa: SIM905
_LEAST_WORDS, _MOST_WORDS, _MOST_ROWS = 5, 35, 64
_FIRST, _EVERY = 200, 1_000


async def measure(jobs: int, *, alike: bool) -> None:
    """Run the batches in a worker, and print its memory as it goes."""
    executor = LocalExecutor([WorkerOptions(Device("cpu"), load_settings().tasks)], eager=False)
    await executor.start(lambda: None)
    (device,) = executor.devices
    try:
        await _run(device, jobs, alike=alike)
    finally:
        await executor.close()


async def _run(device: LocalDevice, jobs: int, *, alike: bool) -> None:
    done, due = 0, _FIRST
    started = time.monotonic()
    for batch in _batches(jobs, alike=alike):
        await device.run(batch, lambda _event: None)
        done += len(batch.items)
        if done >= due:
            seconds = time.monotonic() - started
            print(f"{done:6} texts: {_memory_mb(device):7.1f} MB, {done / seconds:6.1f} texts/s", flush=True)
            due = max(_EVERY, due // _EVERY * _EVERY + _EVERY)


def _batches(jobs: int, *, alike: bool) -> Iterator[Batch]:
    chooser, numbers = random.Random(0), itertools.count()
    done = 0
    while done < jobs:
        rows = chooser.randint(1, _MOST_ROWS)
        lengths = [_MOST_WORDS if alike else chooser.randint(_LEAST_WORDS, _MOST_WORDS) for _ in range(rows)]
        texts = [" ".join(_WORDS[:1] * length if alike else chooser.choices(_WORDS, k=length)) for length in lengths]
        requests = [SentimentRequest(model=_MODEL, text=text) for text in texts]
        yield Batch("sentiment", tuple(BatchItem(str(next(numbers)), request) for request in requests))
        done += rows


def _memory_mb(device: LocalDevice) -> float:
    return float(psutil.Process(device.pid).memory_info().rss) / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--alike", action="store_true")
    options = parser.parse_args()
    prepare(["minilm-sentiment"])
    asyncio.run(measure(options.jobs, alike=options.alike))


if __name__ == "__main__":
    main()
