"""Test that neither token is written anywhere: in no output and log, in DEBUG too, and not into the store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.hub.finding import TOKEN as HF_TOKEN
from tests.hub.finding import hub_environment
from tests.hub.loopback_hub import Fault, LoopbackHub, serve_hub
from tests.models.tiny_models import tiny_sentiment
from tests.wire.discord_server import DiscordServer, discord_server
from tests.wire.process import TOKEN, command, environment

CONFIG = """
[discord]
log_level = "DEBUG"
[devices]
use = ["cpu"]
threads = 1
[sentiment]
models = ["hf:org/gated@main"]
"""


class Shell:
    """Run hubcord in a folder with both tokens, and keep all that it says."""

    def __init__(self, discord: DiscordServer, hub: LoopbackHub, folder: Path) -> None:
        self._discord, self._folder = discord, folder
        self._environment = environment() | hub_environment(hub, folder / "home") | {"HF_TOKEN": HF_TOKEN}
        self._environment["DISCORD_TOKEN"] = TOKEN

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        with (self._folder / "said.txt").open("ab") as said:
            return await asyncio.create_subprocess_exec(
                *command(self._discord.url, *arguments),
                cwd=self._folder,
                env=self._environment,
                stdout=said,
                stderr=said,
            )

    async def __call__(self, *arguments: str) -> int | None:
        process = await self.start(*arguments)
        return await asyncio.wait_for(process.wait(), 90)

    def written(self) -> dict[str, bytes]:
        """Return every file that was written, weights too."""
        files = [path for path in self._folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self._folder)): path.read_bytes() for path in files}


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    async with discord_server() as server:
        yield server


@pytest.mark.timeout(240)
async def test_no_token_is_written_anywhere(
    discord: DiscordServer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = await asyncio.to_thread(tiny_sentiment, tmp_path_factory.mktemp("model"))
    with serve_hub() as hub:
        hub.add("org/gated", model, gated=True, reader=HF_TOKEN)
        (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
        hubcord = Shell(discord, hub, tmp_path)
        hub.faults.append(Fault("resolve", 403, {"X_Error_Code": "GatedRepo"}, times=3))
        await hubcord("doctor")
        await hubcord("models", "pull", "--all")
        hub.faults.clear()
        assert await hubcord("models", "pull", "hf:org/gated@main") == 0
        bot = await hubcord.start("run")
        await asyncio.wait_for(discord.connected.wait(), 60)
        token = await discord.slash("sentiment", text="a good day")
        await discord.wait_for(lambda: discord.answers(token))
        children = psutil.Process(bot.pid).children(recursive=True)
        assert children
        assert not any("DISCORD_TOKEN" in child.environ() for child in children)
        await hubcord("doctor", "--json")
        bot.terminate()
        assert await asyncio.wait_for(bot.wait(), 30) == 0
        assert ("_HubHandler", HF_TOKEN) in hub.tokens
    written = hubcord.written()
    assert token.encode() not in written["said.txt"]
    assert b"DEBUG" in written["said.txt"]
    assert b"org/gated@" in written["said.txt"]
    assert "hubcord.db" in written
    for secret in (TOKEN, HF_TOKEN):
        assert [name for name, content in written.items() if secret.encode() in content] == []
        assert secret not in json.dumps([discord.commands, discord.edits(token), discord.first(token)])
