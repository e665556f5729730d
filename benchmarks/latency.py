"""Measure how soon the first answer to a slash command leaves, while the workers compute at 100 %.

    python -m benchmarks.latency [--rate 200] [--seconds 5] [--json]

The whole bot runs in this process: discord.py's parsing, the cogs, the queue, the SQLite store in a temporary folder,
and the real worker process with the bundled models, which gets more work than it can do. Only the network is missing:
interactions are handed to discord.py as text, and its requests end at a stub with a round trip of 50 ms.

Delays end when the first answer (a promise of one, or a refusal) is handed to the HTTP session. "own": from when the
command was due, whether the event loop was free for it or not, without the time for which the loop had no core because
other processes (and the workers) had them all. "wall": from when discord.py got the command, with everything. On a
quiet machine they are alike.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from benchmarks.own_clock import OwnClock
from benchmarks.stub_discord import OfflineBot, StubSession, slash_command
from benchmarks.texts import mixed_texts
from bot.bundled.prepare import prepare
from bot.config import parse_settings
from bot.wiring import make_engine, make_store

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
    clock = OwnClock()
    session = StubSession(clock.both)
    await engine.start()
    async with OfflineBot(engine=engine, settings=settings, shard_count=1) as bot:
        await bot.connect_to(session)
        await _warm_up(bot, session)
        gc.freeze()  # as bot/app.py does
        workers, began = _workers_cpu_s(), time.perf_counter()
        loop, waited = time.thread_time(), clock.waited_s()
        due = await _send(bot, clock, rate, seconds)
        passed = time.perf_counter() - began
        effort = {
            "loop's CPU ms a command": 1_000 * (time.thread_time() - loop) / len(due),
            "workers' CPU %": 100 * (_workers_cpu_s() - workers) / passed,
            "loop without a core %": 100 * (clock.waited_s() - waited) / passed,
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


async def _send(bot: OfflineBot, clock: OwnClock, rate: float, seconds: float) -> dict[int, tuple[float, float]]:
    """Let commands arrive evenly; return when each was due by the own clock, and when it came by the wall's."""
    due: dict[int, tuple[float, float]] = {}
    numbers = range(1_000, 1_000 + round(rate * seconds))
    texts = [slash_command(number, *_command(number)) for number in numbers]
    started = clock()
    for number, text in zip(numbers, texts, strict=True):
        moment = started + (number - numbers.start) / rate
        while (early_s := moment - clock()) > 0:  # noqa: ASYNC110 - the clock may stand still meanwhile
            await asyncio.sleep(early_s)
        due[number] = moment, time.perf_counter()
        bot.receive(text)
    return due


def _command(number: int) -> tuple[str, dict[str, str | int]]:
    """Return a command: mostly texts, some translations, a few pictures."""
    text = _TEXTS[number % len(_TEXTS)]
    if number % 20 == 1:
        return "imagine", {"prompt": "a happy cat on blue", "seed": number}
    if number % 5 == 2:
        return "translate", {"text": text, "to": "pt", "from": "en"}
    return "sentiment", {"text": text}


async def _until_all_answered(session: StubSession, due: dict[int, tuple[float, float]]) -> None:
    async with asyncio.timeout(30):
        while not due.keys() <= session.answered_at.keys():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)


def _summary(session: StubSession, due: dict[int, tuple[float, float]], seconds: float) -> dict[str, float]:
    kinds = Counter(_KINDS[session.kinds[number]] for number in due)
    result: dict[str, float] = {"commands a second": len(due) / seconds, "taken": kinds["taken"]}
    result["refused"] = kinds["refused"]
    for place, clock in enumerate(("own", "wall")):
        delays = [1_000 * (session.answered_at[number][place] - moment[place]) for number, moment in due.items()]
        cuts = statistics.quantiles(delays, n=100)
        result |= {f"{clock} p50 ms": cuts[49], f"{clock} p99 ms": cuts[98], f"{clock} longest ms": max(delays)}
    return result


def _workers_cpu_s() -> float:
    """Return the processor time that the workers have used, in seconds."""
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))


if __name__ == "__main__":
    main()
