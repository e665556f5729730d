"""Run `hubcord run` as a process against a Discord on this machine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from tests.wire.discord_server import DiscordServer

ROOT = Path(__file__).parents[2]
TOKEN = "very.secret.token"
RUN = """
import sys
import discord.http
discord.http.Route.BASE = sys.argv.pop(1)
from bot.__main__ import main
main()
"""
CONFIG = """
[devices]
use = ["cpu"]
threads = 1
[imagine]
models = ["bundled:emoji-sd"]
max_steps = 1000
"""


def command(url: str, *arguments: str) -> list[str]:
    """Return hubcord's command line, connected to the Discord at this address."""
    return [sys.executable, "-c", RUN, f"{url}/api", *arguments]


def environment() -> dict[str, str]:
    """Return the environment of the bot."""
    return {**os.environ, "DISCORD_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}


async def start(discord: DiscordServer, folder: Path, config: str = CONFIG) -> asyncio.subprocess.Process:
    """Start the bot in a folder; it isn't connected yet. What it says goes to log.txt there."""
    (folder / "config.toml").write_text(config, encoding="utf-8")
    discord.connected.clear()
    with (folder / "log.txt").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command(discord.url, "run"), cwd=folder, stdout=log, stderr=log, env=environment()
        )


async def failed_start(url: str, folder: Path) -> tuple[int | None, str]:
    """Start a bot that should end by itself; return its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        *command(url, "run"), cwd=folder, stderr=asyncio.subprocess.PIPE, env=environment()
    )
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, errors.decode()


def log_of(folder: Path) -> str:
    """Return what the bots in a folder have said."""
    return (folder / "log.txt").read_text(encoding="utf-8")


def family(process: asyncio.subprocess.Process) -> list[psutil.Process]:
    """Return the bot's processes, its own first."""
    try:
        bot = psutil.Process(process.pid)
        return [bot, *bot.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


async def still_alive(processes: Sequence[psutil.Process], within_s: float = 10.0) -> list[psutil.Process]:
    """Return those processes that don't end within some seconds."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, within_s)
    return alive


@asynccontextmanager
async def hubcord(
    discord: DiscordServer, folder: Path, config: str = CONFIG
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the bot until the block ends; nothing of it may stay behind, and its token may be in no log."""
    process = await start(discord, folder, config)
    try:
        await asyncio.wait_for(discord.connected.wait(), 60)
        yield process
    finally:
        children = family(process)[1:]
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)
        assert await still_alive(children) == []
        assert TOKEN not in log_of(folder)
