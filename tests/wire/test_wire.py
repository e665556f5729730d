"""Test `hubcord run` from outside: start, answer, die, come back, stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from bot.bundled.prepare import prepare
from tests.wire.discord_server import DiscordServer, discord_server

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


def _command(discord: DiscordServer) -> list[str]:
    return [sys.executable, "-c", RUN, f"{discord.url}/api", "run"]


def _environment() -> dict[str, str]:
    return {**os.environ, "DISCORD_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}


@asynccontextmanager
async def hubcord(discord: DiscordServer, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the bot until the block ends; nothing of it may stay behind, and its token may be in no log."""
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    discord.connected.clear()
    with (folder / "log.txt").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *_command(discord), cwd=folder, stdout=log, stderr=log, env=_environment()
        )
    try:
        await asyncio.wait_for(discord.connected.wait(), 60)
        yield process
    finally:
        children = psutil.Process(process.pid).children(recursive=True) if process.returncode is None else []
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)
        gone, alive = await asyncio.to_thread(psutil.wait_procs, children, 10)
        assert (alive, len(gone)) == ([], len(children))
        assert TOKEN not in (folder / "log.txt").read_text(encoding="utf-8")


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    prepare(["minilm-sentiment", "emoji-sd"])
    async with discord_server() as server:
        yield server


@pytest.mark.timeout(240)
async def test_answers_and_a_clean_stop(discord: DiscordServer, tmp_path: Path) -> None:
    async with hubcord(discord, tmp_path) as process:
        token = await discord.slash("sentiment", text="I love this!")
        await discord.wait_for(lambda: discord.answers(token))
        assert discord.callbacks[token] == {"type": 5}
        assert discord.edits[token][-1]["embeds"][0]["title"].startswith("positive")
        assert discord.edits[token][-1]["allowed_mentions"] == {"parse": []}
        refused = await discord.slash("sentiment", text="hi", model="nothing")
        await discord.wait_for(lambda: refused in discord.callbacks)
        assert discord.callbacks[refused]["data"]["flags"] == 64
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0


@pytest.mark.timeout(240)
async def test_killed_in_the_middle_it_answers_each_job_once(discord: DiscordServer, tmp_path: Path) -> None:
    async with hubcord(discord, tmp_path) as process:
        picture = await discord.slash("imagine", prompt="a red heart", seed=3, steps=60)
        texts = [await discord.slash("sentiment", text=f"good {number}") for number in range(5)]
        await discord.wait_for(
            lambda: any("step" in str(edit.get("content")) for edit in discord.edits.get(picture, []))
        )
        worker = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        await process.wait()
        gone, alive = await asyncio.to_thread(psutil.wait_procs, worker, 10)
        assert (alive, len(gone)) == ([], len(worker))
    before = [token for token in texts if discord.answers(token)]
    synced, discord.commands = discord.commands, []
    async with hubcord(discord, tmp_path):
        await discord.wait_for(lambda: all(discord.answers(token) for token in (picture, *texts)))
        assert discord.commands == [], "unchanged commands aren't registered again"
    discord.commands = synced
    assert [len(discord.answers(token)) for token in (picture, *texts) if token not in before] == [1] * (
        6 - len(before)
    )
    assert discord.answers(picture)[0]["_files"] == 1
    assert discord.posts == []


@pytest.mark.timeout(240)
async def test_discords_trouble_loses_no_answer(discord: DiscordServer, tmp_path: Path) -> None:
    async with hubcord(discord, tmp_path):
        discord.trouble = [500, 503, 502]
        token = await discord.slash("sentiment", text="I love this!")
        await discord.wait_for(lambda: discord.answers(token))
        assert len(discord.answers(token)) == 1


@pytest.mark.timeout(240)
async def test_it_stops_at_once_while_discord_is_away(discord: DiscordServer, tmp_path: Path) -> None:
    async with hubcord(discord, tmp_path) as process:
        await discord.go_away()
        await asyncio.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0


@pytest.mark.timeout(240)
async def test_a_second_bot_keeps_off_the_same_store(discord: DiscordServer, tmp_path: Path) -> None:
    async with hubcord(discord, tmp_path):
        second = await asyncio.create_subprocess_exec(
            *_command(discord), cwd=tmp_path, stderr=asyncio.subprocess.PIPE, env=_environment()
        )
        _, errors = await asyncio.wait_for(second.communicate(), 60)
    assert second.returncode == 1
    assert "Another hubcord is running with this job store" in errors.decode()


async def test_a_refused_token_is_one_clear_line(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, "http://127.0.0.1:9/api", "run",
        cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "DISCORD_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert "Discord can't be reached" in errors.decode()
    assert "Traceback" not in errors.decode()
