"""Measure the memory of a start that finds many waiting pictures: `python -m benchmarks.start_memory [MB]`.

Prints the megabytes that waited, and the process's resident memory before, at most during, and after the start.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import sys
import tempfile
from pathlib import Path

import psutil

from bot.config import load_settings
from bot.engine.engine import Engine
from bot.engine.job import Requester
from bot.store.sql import SqlStore
from bot.tasks.classify.task import ClassifyRequest
from tests.fakes.executor import FakeDevice, FakeExecutor

_PICTURE_BYTES = 10_000_000
_MB = 1e6


def make_engine(url: str) -> Engine:
    """Return an engine on a device that never finishes, with room for everything."""
    device = FakeDevice()
    device.hold()
    settings = load_settings()
    limits = settings.queue.model_copy(update={"capacity_mb": 1 << 20, "per_user": 1 << 20, "per_guild": 1 << 20})
    return Engine(executor=FakeExecutor(device), store=SqlStore(url), tasks=settings.tasks, limits=limits)


async def fill(url: str, count: int) -> None:
    """Leave pictures in the store, unanswered."""
    engine = make_engine(url)
    await engine.start()
    image = b"\x89PNG\r\n\x1a\n" + bytes(_PICTURE_BYTES)
    request = ClassifyRequest(model="bundled:efficientnet-lite0", image=image)
    for _ in range(count):
        await engine.submit("classify", request, Requester(user_id=1, guild_id=1))
    await engine.close()


async def start(url: str) -> None:
    """Start on the store and print this process's memory."""
    before = psutil.Process().memory_info().rss
    engine = make_engine(url)
    await engine.start()
    after = psutil.Process().memory_info().rss
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    waiting_mb = sum(job.input_bytes for job in engine.jobs.values()) / _MB
    print(f"{len(engine.jobs)} pictures of {waiting_mb:.0f} MB waited.")
    print(f"resident: {before / _MB:.0f} MB before, {most / _MB:.0f} at most, {after / _MB:.0f} after the start")
    await engine.close()


def _run(step: str, url: str, count: int) -> None:
    asyncio.run(fill(url, count) if step == "fill" else start(url))


if __name__ == "__main__":
    pictures = int(float(sys.argv[1]) * _MB / _PICTURE_BYTES) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder:
        for step in ("fill", "start"):
            context = multiprocessing.get_context("spawn")
            process = context.Process(
                target=_run, args=(step, f"sqlite+aiosqlite:///{Path(folder) / 'jobs.db'}", pictures)
            )
            process.start()
            process.join()
