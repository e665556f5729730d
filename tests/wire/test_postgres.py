"""Test the bot as a process on PostgreSQL: killed, it comes back and answers; it has its database for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.bundled.prepare import prepare
from tests.fakes.skipping import skip_without
from tests.store.postgres import find_programs, running
from tests.wire.discord_server import discord_server
from tests.wire.process import CONFIG, failed_start, hubcord


@pytest.fixture
async def config() -> AsyncIterator[str]:
    """Return a configuration whose store is a PostgreSQL server of our own."""
    programs = find_programs()
    if programs is None:
        skip_without("postgresql", "apt-get install postgresql")
    with running(programs) as server:
        yield f'{CONFIG}[store]\nurl = "{server.url("postgres")}"\n'


@pytest.mark.timeout(240)
async def test_killed_and_back_on_postgresql(config: str, tmp_path: Path) -> None:
    prepare(["minilm-sentiment"])
    async with discord_server() as discord:
        async with hubcord(discord, tmp_path, config) as process:
            code, errors = await failed_start(discord.url, tmp_path)
            assert code == 1
            assert "Another hubcord is running with this job store" in errors
            token = await discord.slash("sentiment", text="I love this!")
            await discord.wait_for(lambda: discord.first(token))
            process.kill()
            await process.wait()
        async with hubcord(discord, tmp_path, config):
            await discord.wait_for(lambda: discord.answers(token))
        assert discord.said.answers(discord.said.interactions[token]) == 1
