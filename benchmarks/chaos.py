"""Kill the bot and its workers at random moments under load, and check that every job is answered exactly once.

    python -m benchmarks.chaos [--kills 100] [--seed 1] [--json]

The bot is `hubcord run` with its real worker and the bundled models, on a loopback Discord that refuses what Discord
refuses. A kill comes by the clock (also while the bot still starts), hits a worker, or lies in ambush at a moment of a
request: before or after it took effect. Tokens and nonces live for a minute only, every third token for less than a
start takes, so that answers come late, and are killed too. Some pictures are cancelled by who asked for them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from bot.bundled.prepare import prepare
from tests.wire.conversations import Interaction, Limits
from tests.wire.discord_server import DiscordServer, Moment, discord_server
from tests.wire.process import CONFIG, family, start, still_alive

LONGEST_LIFE_S = 9.0
MOST_OPEN = 40
SHORT_TOKENS, SHORT_S = 1 / 3, (0.5, 3.0)
PICTURES, CANCELLED, CANCELLED_AFTER_S = 0.15, 1 / 3, 2.0
LAST_WAIT_S = 240.0
AMBUSHES: list[Moment] = list(itertools.product(("before", "after"), ("callback", "original", "post", "edit")))
GIVEN_UP = "stopped the worker twice"
_CONFIG = f"{CONFIG}[queue]\nper_guild = 1000\n"


@dataclass
class Summary:
    """Count what happened. The last four must be 0, and some answers late."""

    seed: int
    kills: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    asked: int = 0
    not_taken: int = 0
    answered: int = 0
    answered_late: int = 0
    cancelled: int = 0
    given_up: int = 0
    announcements_left: int = 0
    lost: int = 0
    answered_twice: int = 0
    unanswered_rows: int = 0
    processes_left: int = 0

    @property
    def good(self) -> bool:
        """Say whether every job was answered exactly once, some of them late, and every process is gone."""
        wrong = self.lost or self.answered_twice or self.unanswered_rows or self.processes_left
        return self.answered_late > 0 and not wrong


class Chaos:
    """Let people ask while the bot is killed again and again."""

    def __init__(self, discord: DiscordServer, folder: Path, seed: int) -> None:
        self._discord = discord
        self._folder = folder
        self._random = random.Random(seed)
        self._kills: Counter[str] = Counter()
        self._bot: asyncio.subprocess.Process | None = None
        self._seen: dict[int, psutil.Process] = {}
        self._users = itertools.count(1_000)

    async def run(self, kills: int) -> Counter[str]:
        """Kill that often, then let the bot end its work; return the kills by their kind."""
        asking = asyncio.create_task(self._ask())
        while self._kills.total() < kills:
            await self._live()
        asking.cancel()
        await self._finish()
        return self._kills

    async def left(self) -> list[psutil.Process]:
        """Return the processes that are still there."""
        return await still_alive(list(self._seen.values()))

    async def _live(self) -> None:
        """Start the bot and kill it, after one of its workers perhaps."""
        self._bot = bot = await start(self._discord, self._folder, _CONFIG)
        moment = self._random.choice([None, None, *AMBUSHES])
        if moment is not None:
            self._lie_in_ambush(bot, moment)
        life_s = self._random.uniform(0.3, LONGEST_LIFE_S) + (LONGEST_LIFE_S if moment else 0.0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._bother_workers(bot), life_s)
        if bot.returncode is None:
            self._kill(bot, "clock")
        await bot.wait()
        self._discord.watch = lambda _: None

    async def _bother_workers(self, bot: asyncio.subprocess.Process) -> None:
        """Kill a worker now and then as long as the bot lives."""
        while bot.returncode is None:
            ends_in_s = self._random.expovariate(1 / 15)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look_at(bot), ends_in_s)
            workers = [p for p in family(bot)[1:] if "spawn_main" in " ".join(_command(p))]
            if workers:
                self._kills["worker"] += 1
                self._random.choice(workers).kill()

    async def _look_at(self, bot: asyncio.subprocess.Process) -> None:
        """Remember every process of the bot until it ends."""
        while bot.returncode is None:
            self._seen.update({process.pid: process for process in family(bot)})
            await asyncio.sleep(0.1)

    def _lie_in_ambush(self, bot: asyncio.subprocess.Process, moment: Moment) -> None:
        due = self._random.randint(1, 6)

        def watch(now: Moment) -> None:
            nonlocal due
            due -= now == moment
            if due <= 0 and bot.returncode is None:
                self._discord.watch = lambda _: None
                self._kill(bot, " ".join(moment))

        self._discord.watch = watch

    def _kill(self, bot: asyncio.subprocess.Process, kind: str) -> None:
        self._seen.update({process.pid: process for process in family(bot)})
        self._kills[kind] += 1
        self._discord.connected.clear()
        bot.kill()

    async def _ask(self) -> None:
        """Ask all the time, as somebody else each time, unless too many wait for an answer."""
        for number in itertools.count():
            await self._discord.connected.wait()
            if len(self._open()) < MOST_OPEN:
                with contextlib.suppress(ConnectionError, RuntimeError, StopIteration):
                    await self._ask_once(number)
            await asyncio.sleep(self._random.uniform(0.05, 0.4))

    async def _ask_once(self, number: int) -> None:
        user = next(self._users)
        token_s = self._random.uniform(*SHORT_S) if self._random.random() < SHORT_TOKENS else None
        if self._random.random() < PICTURES:
            await self._discord.slash("imagine", user=user, token_s=token_s, prompt="a red heart", seed=number, steps=8)
            if self._random.random() < CANCELLED:
                await asyncio.sleep(self._random.uniform(0.0, CANCELLED_AFTER_S))
                await self._discord.slash("cancel", user=user)
        else:
            await self._discord.slash("sentiment", user=user, token_s=token_s, text=f"number {number} is good")

    def _open(self) -> list[Interaction]:
        return [asked for asked in _jobs(self._discord) if asked.first and not _told(self._discord, asked)]

    async def _finish(self) -> None:
        """Let one last bot do what is left, and stop it properly."""
        self._bot = bot = await start(self._discord, self._folder, _CONFIG)
        looking = asyncio.create_task(self._look_at(bot))
        await asyncio.wait_for(self._discord.connected.wait(), 60)
        with contextlib.suppress(TimeoutError):
            await self._until_all_are_answered()
        bot.send_signal(signal.SIGTERM)
        if await asyncio.wait_for(bot.wait(), 30) != 0:
            raise RuntimeError("the bot didn't stop cleanly")
        await looking

    async def _until_all_are_answered(self) -> None:
        async with asyncio.timeout(LAST_WAIT_S):
            while self._open() or _unanswered(self._folder):  # noqa: ASYNC110 - the file tells nobody
                await asyncio.sleep(0.5)


def _jobs(discord: DiscordServer) -> list[Interaction]:
    """Return the first interaction of everybody: the second one cancels it."""
    return list({asked.user: asked for asked in reversed(discord.said.interactions.values())}.values())


def _told(discord: DiscordServer, asked: Interaction) -> int:
    return asked.refused + discord.said.answers(asked)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _unanswered(folder: Path) -> int:
    connection = sqlite3.connect(folder / "hubcord.db")
    (count,) = connection.execute("SELECT count(*) FROM jobs WHERE NOT answered").fetchone()
    connection.close()
    return int(count)


async def measure(kills: int, seed: int, folder: Path) -> Summary:
    """Run and count."""
    started = time.monotonic()
    async with discord_server(Limits(token_s=60.0, nonce_s=60.0)) as discord:
        chaos = Chaos(discord, folder, seed)
        summary = Summary(seed, dict(await chaos.run(kills)))
        summary.processes_left = len(await chaos.left())
    summary.unanswered_rows = _unanswered(folder)
    summary.seconds = time.monotonic() - started
    for asked in _jobs(discord):
        _count(summary, discord, asked)
    return summary


def _count(summary: Summary, discord: DiscordServer, asked: Interaction) -> None:
    told, late = _told(discord, asked), discord.said.late(asked)
    summary.asked += 1
    summary.not_taken += asked.first is None and not told
    summary.answered += told == 1
    summary.answered_late += any(len(message.bodies) > 1 for message in late)
    summary.announcements_left += sum(len(message.bodies) == 1 for message in late)
    summary.cancelled += asked.message is not None and "Cancelled." in str(asked.message.bodies[-1])
    summary.given_up += any(GIVEN_UP in str(body) for body in asked.edits)
    summary.lost += asked.first is not None and not told
    summary.answered_twice += told > 1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    prepare(["minilm-sentiment", "emoji-sd"])
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        summary = asyncio.run(measure(options.kills, options.seed, Path(folder)))
    if options.json:
        print(json.dumps(asdict(summary)))
    else:
        for name, value in asdict(summary).items():
            print(f"{name:>20}: {value}")
    raise SystemExit(not summary.good)


if __name__ == "__main__":
    main()
