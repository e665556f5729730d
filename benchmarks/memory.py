"""Measure the resident memory of `hubcord run` while people ask, its worker apart.

    python -m benchmarks.memory [--jobs 600]

The bot talks over sockets to a Discord on loopback; every twelfth job is a picture, the others are texts.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
from pathlib import Path

import psutil

from bot.bundled.prepare import prepare
from tests.wire.conversations import Limits
from tests.wire.discord_server import DiscordServer, discord_server
from tests.wire.process import CONFIG, hubcord

_IN_FLIGHT, _ROUND, _PICTURE_EVERY, _MOST_WORDS = 40, 150, 12, 30
_CONFIG = f"{CONFIG}[queue]\nper_guild = 1000\n"


async def measure(jobs: int, folder: Path) -> None:
    """Print the memory when connected, and after each round of jobs."""
    room, users = asyncio.Semaphore(_IN_FLIGHT), itertools.count(1_000)
    async with discord_server(Limits()) as discord, hubcord(discord, folder, _CONFIG) as bot:
        process = psutil.Process(bot.pid)
        print(f"connected: {process.memory_info().rss / 1e6:.1f} MB", flush=True)
        for first in range(0, jobs, _ROUND):
            numbers = range(first, min(first + _ROUND, jobs))
            await asyncio.gather(*(_ask(discord, number, next(users), room) for number in numbers))
            print(f"after {numbers.stop} jobs: {process.memory_info().rss / 1e6:.1f} MB", flush=True)


async def _ask(discord: DiscordServer, number: int, user: int, room: asyncio.Semaphore) -> None:
    """Ask once and wait for the answer."""
    async with room:
        if number % _PICTURE_EVERY == 0:
            token = await discord.slash("imagine", user=user, prompt="a red heart", seed=number, steps=4)
        else:
            text = f"number {number} is good" + " and fine" * (number % _MOST_WORDS)
            token = await discord.slash("sentiment", user=user, text=text)
        asked = discord.said.interactions[token]
        await discord.wait_for(lambda: asked.refused + discord.said.answers(asked))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=600)
    options = parser.parse_args()
    prepare(["minilm-sentiment", "emoji-sd"])
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(options.jobs, Path(folder)))


if __name__ == "__main__":
    main()
