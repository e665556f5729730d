"""Test `hubcord run` from outside while it runs: one bot for all tests of this file, which stops cleanly at the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from bot.bundled.prepare import prepare
from tests.wire.discord_objects import CHANNEL, USER, command_use
from tests.wire.discord_server import DiscordServer, discord_server
from tests.wire.process import failed_start, hubcord

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@dataclass
class Running:
    """Hold a bot's Discord, the folder that it runs in, and its process."""

    discord: DiscordServer
    folder: Path
    process: asyncio.subprocess.Process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    prepare(["minilm-sentiment"])
    folder = tmp_path_factory.mktemp("running")
    async with discord_server() as discord, hubcord(discord, folder) as process:
        yield Running(discord, folder, process)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_a_job_is_answered_and_a_bad_option_refused(running: Running) -> None:
    discord = running.discord
    token = await discord.slash("sentiment", text="I love this!")
    await discord.wait_for(lambda: discord.answers(token))
    assert discord.first(token) == {"type": 5}
    assert discord.edits(token)[-1]["embeds"][0]["title"].startswith("positive")
    assert discord.edits(token)[-1]["allowed_mentions"] == {"parse": []}
    refused = await discord.slash("sentiment", text="hi", model="nothing")
    await discord.wait_for(lambda: discord.first(refused))
    assert (discord.first(refused) or {})["data"]["flags"] == 64


async def test_discords_trouble_loses_no_answer(running: Running) -> None:
    discord = running.discord
    discord.trouble = [500, 429, 503, 502]
    token = await discord.slash("sentiment", text="I love this!")
    await discord.wait_for(lambda: discord.answers(token))
    assert discord.trouble == []
    assert len(discord.answers(token)) == 1


async def test_what_cannot_be_read_ends_nothing(running: Running) -> None:
    """Discord has new kinds of channels and fields at any time."""
    discord = running.discord
    await discord.dispatch("GUILD_UPDATE", {"id": "no number"})
    asked = discord.said.ask(USER)
    options = [{"name": "text", "type": 3, "value": "I love this!"}]
    data = {"id": "99", "name": "sentiment", "type": 1, "options": options}
    use = command_use(asked.id, asked.token, USER, data)
    await discord.dispatch("INTERACTION_CREATE", use | {"channel": {"id": str(CHANNEL), "type": 11}})
    await discord.wait_for(lambda: discord.answers(asked.token))
    assert running.process.returncode is None


async def test_a_second_bot_keeps_off_the_same_store(running: Running) -> None:
    code, errors = await failed_start(running.discord.url, running.folder)
    assert code == 1
    assert "Another hubcord is running with this job store" in errors
