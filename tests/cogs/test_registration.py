"""Test where the commands are registered."""

from __future__ import annotations

import pytest
from simcord import Env

from bot.bot import Bot
from bot.engine import Engine
from tests.fakes.seen import commands, embed
from tests.fakes.simulation import simulated

CATS, DOGS = 1456074443980800100, 1456074443980800101


async def test_everywhere_by_default(env: Env, engine: Engine, bot: Bot) -> None:
    paths = [entry.path for entry in env.http_requests if entry.method == "PUT"]
    assert paths == [f"/applications/{bot.application_id}/commands"]
    assert await bot.sync_if_changed() is False
    engine.store.keep("synced commands", "an older version")
    with env._bot_scope():
        assert await bot.sync_if_changed() is True


@pytest.mark.parametrize("config", [{"discord": {"guilds": [CATS, DOGS]}}])
async def test_in_the_configured_servers(bot: Bot) -> None:
    env = Env(bot)
    guilds = [env.create_guild("Cats", id=CATS), env.create_guild("Dogs", id=DOGS)]
    async with simulated(env):
        first, second = commands(env)
        assert {command["name"] for command in first} == {command["name"] for command in second}
        for guild in guilds:
            alice = guild.add_member(env.create_user("alice"))
            result = await alice.slash(guild.create_text_channel("general"), "sentiment", text="I love this")
            assert embed(result).title == "positive · 90.0%"
