"""Test what the doctor finds on Discord's side, over real HTTP on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.app import sync
from bot.doctor import check
from bot.doctor.check import Check
from bot.doctor.examine import examine
from tests.wire.discord_objects import GUILD
from tests.wire.discord_server import DiscordServer, discord_server
from tests.wire.process import TOKEN

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.fixture
async def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    async with discord_server() as server:
        monkeypatch.setattr(discord.http.Route, "BASE", f"{server.url}/api")
        yield server


@pytest.fixture
def server(whole: DiscordServer, unasked_translators: None) -> DiscordServer:  # noqa: ARG001
    return whole


async def checks() -> dict[str, Check]:
    found = {found.name: found async for found in examine(None)}
    assert TOKEN not in str(found)
    return found


async def test_everything_is_right(whole: DiscordServer, tmp_path: Path) -> None:
    found = await checks()
    assert {each.state for each in found.values()} == {"ok"}
    assert found["Discord token"].text == "of hubcord, application 11"
    assert found["intents"].text == "no privileged ones are needed"
    assert "registered by the next start" in found["commands"].text
    assert whole.commands == []
    assert not (tmp_path / "hubcord.db").exists()


async def test_the_invitation_asks_for_what_is_needed_and_no_more(server: DiscordServer) -> None:
    link = (await checks())["invitation"].text
    assert "client_id=11&scope=bot+applications.commands&permissions=274877959168" in link
    server.application = {"bot_require_code_grant": True}
    assert (await checks())["invitation"].state == "warning"


async def test_a_bot_that_anybody_may_add(server: DiscordServer, tmp_path: Path) -> None:
    server.application = {"bot_public": True}
    found = (await checks())["who may add it"]
    assert found.state == "warning"
    assert "Public Bot" in found.advice
    (tmp_path / "config.toml").write_text(f"[discord]\nguilds = [{GUILD}]\n", encoding="utf-8")
    assert "who may add it" not in await checks()


async def test_a_refused_token(server: DiscordServer) -> None:
    server.refuses = True
    found = await checks()
    assert (found["Discord token"].state, found["Discord token"].text) == ("error", "Discord refuses it.")
    assert "Reset it at" in found["Discord token"].advice
    assert "commands" not in found


@pytest.mark.parametrize("token", ["a b", "a\nb", "tökén", '"a.b.c"'])
async def test_what_is_no_token(server: DiscordServer, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", token)
    found = (await checks())["Discord token"]
    assert (found.state, found.advice) == ("error", "Copy it anew.")
    assert server.url


async def test_no_network(server: DiscordServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discord.http.Route, "BASE", "http://127.0.0.1:9/api")
    found = (await checks())["Discord token"]
    assert found.state == "error"
    assert "can't be reached" in found.text
    assert "network" in found.advice
    assert server.url


async def test_a_discord_that_never_answers(server: DiscordServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_reader: Any, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    monkeypatch.setattr(check, "LIMIT_S", 0.5)
    async with await asyncio.start_server(hang, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        monkeypatch.setattr(discord.http.Route, "BASE", f"http://127.0.0.1:{port}/api")
        assert (await checks())["Discord token"].text == "Discord doesn't answer."
        gone.set()
    assert server.url


async def test_an_intent_that_isnt_allowed(server: DiscordServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.doctor.on_discord._Visitor.intents", discord.Intents(members=True), raising=False)
    assert (await checks())["intents"].text == "Not allowed: members."
    server.application = {"flags": discord.ApplicationFlags(gateway_guild_members_limited=True).value}
    assert (await checks())["intents"].text == "allowed: members"


async def test_commands_that_go_elsewhere(server: DiscordServer) -> None:
    server.application = {"interactions_endpoint_url": "https://example.org/x"}
    found = (await checks())["interactions"]
    assert found.state == "error"
    assert "Interactions Endpoint URL" in found.advice


async def test_commands_that_are_registered_or_were_lost(server: DiscordServer) -> None:
    await sync(None)
    assert (await checks())["commands"].text == f"{len(server.commands)}, registered"
    server.commands.pop()
    found = (await checks())["commands"]
    assert (found.state, found.advice) == ("warning", "Run `hubcord sync`.")


async def test_a_server_that_the_bot_isnt_in(server: DiscordServer, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f"[discord]\nguilds = [{GUILD}]\n", encoding="utf-8")
    found = (await checks())[f"commands in server {GUILD}"]
    assert (found.state, found.text) == ("warning", "The bot isn't in this server.")
    assert server.commands == []
