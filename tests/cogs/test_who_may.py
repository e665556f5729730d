"""Test who may use the bot, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from simcord import ChannelHandle, Env, GuildHandle, MemberActor

from bot.config import Settings
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import commands, embed, private_text

ELSEWHERE = "This bot only works in the servers that its host has chosen."
BLOCKED = "You can't use this bot: its host has blocked you or this server."


def _with(settings: Settings, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Change the settings for Discord when ids are known; the commands stay registered as they are."""
    monkeypatch.setitem(vars(settings), "discord", settings.discord.model_copy(update=changes))


def test_commands_are_installed_for_servers_and_used_there_or_with_the_bot_alone(env: Env) -> None:
    (registered,) = commands(env)
    scopes: list[Mapping[str, Any]] = [{key: c[key] for key in ("integration_types", "contexts")} for c in registered]
    assert all(scope == {"integration_types": [0], "contexts": [0, 1]} for scope in scopes)


async def test_where_servers_are_chosen_others_and_direct_messages_are_refused(
    alice: MemberActor,
    channel: ChannelHandle,
    guild: GuildHandle,
    env: Env,
    settings: Settings,
    device: FakeDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _with(settings, monkeypatch, guilds=(guild.id,))
    other = env.create_guild("Dogs")
    stranger = other.add_member(env.create_user("stranger"))
    refused = await stranger.slash(other.create_text_channel("general"), "sentiment", text="x")
    assert private_text(refused) == ELSEWHERE
    assert private_text(await stranger.user.slash("sentiment", text="x")) == ELSEWHERE
    assert device.batches == []
    assert embed(await alice.slash(channel, "sentiment", text="x")).title == "positive · 90.0%"


@pytest.mark.parametrize("who", ["person", "server"])
async def test_the_host_can_block_a_person_or_a_server(
    alice: MemberActor,
    bob: MemberActor,
    channel: ChannelHandle,
    guild: GuildHandle,
    settings: Settings,
    device: FakeDevice,
    monkeypatch: pytest.MonkeyPatch,
    who: str,
) -> None:
    _with(settings, monkeypatch, blocked=(alice.id if who == "person" else guild.id,))
    assert private_text(await alice.slash(channel, "sentiment", text="x")) == BLOCKED
    assert await alice.autocomplete(channel, "sentiment", "model", "", text="x") == []
    assert device.batches == []
    result = await bob.slash(channel, "sentiment", text="x")
    assert result.ephemeral is (who == "server")
