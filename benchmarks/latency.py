"""Measure how soon the first answer to a slash command leaves, while the workers compute at 100 %.

    python -m benchmarks.latency [--rate 200] [--seconds 5] [--json]

The whole bot runs in this process: discord.py's parsing, the cogs, the queue, the SQLite store in a temporary folder,
and the real worker process with the bundled models, which gets more work than it can do. Only the network is missing:
interactions are handed to discord.py as text, and its requests end at a stub with a round trip of 50 ms. The clock
starts when a command was due to arrive, whether the event loop was free for it or not, and stops when the first answer
(a promise of one, or a refusal) is handed to the HTTP session. On a machine that others use too, the loop's processor
time for a command tells more than the delays.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from benchmarks.stub_discord import OfflineBot, StubSession, slash_command
from benchmarks.texts import mixed_texts
from bot.bundled.prepare import prepare
from bot.compose import make_engine, make_store
from bot.config import parse_settings

AIM_MS = 50
_KINDS = {4: "refused", 5: "taken"}
_TEXTS = mixed_texts(500)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=200.0, help="commands a second")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    prepare()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(measure(options.rate, options.seconds, Path(folder)))
    if options.json:
        print(json.dumps(result))
        return
    print(f"aim: p99 of at most {AIM_MS} ms")
    for name, value in result.items():
        print(f"{name:>26}: {value:8.1f}")


async def measure(rate: float, seconds: float, folder: Path) -> dict[str, float]:
    """Return percentiles of the first answer's delay in milliseconds, and what the workers did meanwhile."""
    settings = parse_settings(
        {"store": {"url": f"sqlite+aiosqlite:///{folder / 'jobs.db'}"}, "queue": {"shutdown_grace_s": 0}}
    )
    engine = make_engine(settings, store=make_store(settings))
    session = StubSession()
    await engine.start()
    async with OfflineBot(engine=engine, settings=settings, shard_count=1) as bot:
        await bot.connect_to(session)
        await _warm_up(bot, session)
        workers, loop, began = _workers_cpu_s(), time.thread_time(), time.perf_counter()
        due = await _send(bot, rate, seconds)
        effort = {
            "loop's CPU ms a command": 1_000 * (time.thread_time() - loop) / len(due),
            "workers' CPU %": 100 * (_workers_cpu_s() - workers) / (time.perf_counter() - began),
            "load of the machine": psutil.getloadavg()[0],
        }
        await _until_all_answered(session, due)
    await engine.close()
    return _summary(session, due, seconds) | effort


async def _warm_up(bot: OfflineBot, session: StubSession) -> None:
    """Let every model be loaded, and give the worker enough to do."""
    for number in range(1, 4):
        bot.receive(slash_command(number, *_command(number)))
    while session.edits < 3 or bot.engine.jobs:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.1)
    for number in range(10, 40):
        bot.receive(slash_command(number, *_command(number)))
    await asyncio.sleep(1)


async def _send(bot: OfflineBot, rate: float, seconds: float) -> dict[int, float]:
    """Let commands arrive at an even rate; return when each was due."""
    first, started = 1_000, time.perf_counter()
    due = {first + k: started + k / rate for k in range(round(rate * seconds))}
    texts = {number: slash_command(number, *_command(number)) for number in due}
    for number, moment in due.items():
        await asyncio.sleep(max(moment - time.perf_counter(), 0))
        bot.receive(texts[number])
    return due


def _command(number: int) -> tuple[str, dict[str, str | int]]:
    """Return a command: mostly texts, some translations, a few pictures."""
    text = _TEXTS[number % len(_TEXTS)]
    if number % 20 == 1:
        return "imagine", {"prompt": "a happy cat on blue", "seed": number}
    if number % 5 == 2:
        return "translate", {"text": text, "to": "pt", "from": "en"}
    return "sentiment", {"text": text}


async def _until_all_answered(session: StubSession, due: dict[int, float]) -> None:
    async with asyncio.timeout(30):
        while not due.keys() <= session.answered_at.keys():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)


def _summary(session: StubSession, due: dict[int, float], seconds: float) -> dict[str, float]:
    delays = sorted(1_000 * (session.answered_at[number] - moment) for number, moment in due.items())
    kinds = Counter(_KINDS[session.kinds[number]] for number in due)
    cuts = statistics.quantiles(delays, n=100)
    return {
        "commands a second": len(due) / seconds,
        "taken": kinds["taken"],
        "refused": kinds["refused"],
        "p50 ms": cuts[49],
        "p95 ms": cuts[94],
        "p99 ms": cuts[98],
        "longest ms": delays[-1],
    }


def _workers_cpu_s() -> float:
    """Return the processor time that the workers have used, in seconds."""
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))


if __name__ == "__main__":
    main()
