"""Test where the commands are registered."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from simcord import Env

from bot.bot import Bot
from bot.config import Settings
from bot.engine.engine import Engine
from tests.fakes.seen import commands, embed
from tests.fakes.simulation import simulated

CATS, DOGS = 1456074443980800100, 1456074443980800101


async def test_everywhere_by_default(env: Env, engine: Engine, bot: Bot) -> None:
    paths = [entry.path for entry in env.http_requests if entry.method == "PUT"]
    assert paths == [f"/applications/{bot.application_id}/commands"]
    assert await bot.sync_if_changed() is False
    engine.store.set_value("synced commands", "an older version")
    with env._bot_scope():
        assert await bot.sync_if_changed() is True


async def test_where_they_are_not_wanted_any_more_they_are_taken_away(
    env: Env, bot: Bot, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def want(*guilds: int) -> None:
        monkeypatch.setitem(vars(settings), "discord", settings.discord.model_copy(update={"guilds": guilds}))

    for guild in (CATS, DOGS):
        env.create_guild(str(guild), id=guild)
    known = []
    for guilds in ((CATS, DOGS), (CATS,), ()):
        want(*guilds)
        before = len(env.http_requests)
        with env._bot_scope():
            assert await bot.sync_if_changed()
            assert not await bot.sync_if_changed()
        known.append({e.path.split("/")[-2]: bool(e.json) for e in env.http_requests[before:] if e.method == "PUT"})
    everywhere = str(bot.application_id)
    assert known == [
        {str(CATS): True, str(DOGS): True, everywhere: False},
        {str(CATS): True, str(DOGS): False},
        {everywhere: True, str(CATS): False},
    ]


@pytest.mark.parametrize("config", [{"discord": {"guilds": [CATS, DOGS]}}])
async def test_a_server_that_the_bot_is_not_in_is_named_and_stops_no_other(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    env = Env(bot)
    env.create_guild("Dogs", id=DOGS)
    env.inject_error("PUT", f"/applications/*/guilds/{CATS}/commands", status=403, code=50001, times=None)
    await env.start()
    try:
        assert f"couldn't be registered in server {CATS}" in caplog.text
        assert [bool(entry.json) for entry in env.http_requests if str(DOGS) in entry.path] == [True]
        assert await bot.commands_changed()
        with env._bot_scope():
            assert await bot.sync_commands() == [CATS]
    finally:
        await env.shutdown()


async def test_a_start_does_not_wait_until_tomorrow(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who makes more than 200 commands a day is asked to wait that long."""
    env = Env(bot)
    asked = []

    async def waits() -> None:
        asked.append(env)
        await env.external_wait(asyncio.Event().wait(), reason="Discord's daily limit")

    monkeypatch.setattr("bot.bot._SYNC_S", 0.05)
    monkeypatch.setattr(bot.tree, "sync", waits)
    async with simulated(env):
        assert asked
        assert bot.is_ready()
        assert await bot.commands_changed()


@pytest.mark.parametrize("error", [TypeError("no list"), aiohttp.ClientConnectionError("reset")])
async def test_a_start_goes_on_when_registering_fails(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    async def fails() -> None:
        raise error

    env = Env(bot)
    monkeypatch.setattr(bot.tree, "sync", fails)
    async with simulated(env):
        assert bot.is_ready()
        assert "the commands couldn't be registered" in caplog.text


@pytest.mark.parametrize("config", [{"discord": {"guilds": [CATS, DOGS]}}])
async def test_in_the_configured_servers(bot: Bot) -> None:
    env = Env(bot)
    guilds = [env.create_guild("Cats", id=CATS), env.create_guild("Dogs", id=DOGS)]
    async with simulated(env):
        first, second = commands(env)
        assert {command["name"] for command in first} == {command["name"] for command in second}
        assert {(command["contexts"], command["integration_types"]) for command in first} == {(None, None)}
        for guild in guilds:
            alice = guild.add_member(env.create_user("alice"))
            result = await alice.slash(guild.create_text_channel("general"), "sentiment", text="I love this")
            assert embed(result).title == "positive · 90.0%"
