"""Test who may cancel which job, and when."""

from __future__ import annotations

from typing import Any

import discord
import pytest
from simcord import ChannelHandle, Env, GuildHandle, InteractionResult, MemberActor, RoleHandle

from bot.bot import Bot
from bot.engine.engine import Engine
from bot.engine.job import JobState
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import buttons, callbacks, embed, message, private_text, public_text

NOT_YOURS = "Only the person who asked, or a moderator, can cancel this."
ENDED = "This job has ended already."


@pytest.fixture
async def running(alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice) -> InteractionResult:
    """Return the answer to alice's picture, which is on the device."""
    return await _shown(alice, channel, env, device)


@pytest.fixture
async def queued(
    bob: MemberActor, alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> InteractionResult:
    """Return the answer to alice's picture, which waits for bob's text."""
    device.hold()
    await bob.slash(channel, "sentiment", text="x")
    return await _shown(alice, channel, env, device)


async def _shown(person: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice) -> InteractionResult:
    device.hold()
    result = await person.slash(channel, "imagine", prompt="a cat", seed=7)
    await env.advance_time(1.1)
    assert buttons(result) == ["Cancel"]
    return result


async def test_the_owner_cancels_a_running_job(
    alice: MemberActor, running: InteractionResult, device: FakeDevice, engine: Engine, env: Env
) -> None:
    (job,) = engine.running()
    click = await alice.click(message(running), label="Cancel")
    assert click.acknowledged
    assert callbacks(env)[-1] == 6
    assert public_text(running) == "Cancelled."
    assert buttons(running) == []
    assert device.cancelled == [job.id]
    assert job.state is JobState.CANCELLED


async def test_the_owner_cancels_a_queued_job(
    alice: MemberActor, queued: InteractionResult, device: FakeDevice, env: Env
) -> None:
    await alice.click(message(queued), label="Cancel")
    assert public_text(queued) == "Cancelled."
    assert buttons(queued) == []
    device.release()
    await env.settle()
    assert len(device.requests) == 1
    assert public_text(queued) == "Cancelled."


async def test_a_stranger_may_not(bob: MemberActor, running: InteractionResult, device: FakeDevice, env: Env) -> None:
    click = await bob.click(message(running), label="Cancel")
    assert private_text(click) == NOT_YOURS
    assert device.cancelled == []
    device.release()
    await env.settle()
    assert embed(running).description == "> a cat"


async def test_a_moderator_may_cancel_a_running_job(moderator: MemberActor, running: InteractionResult) -> None:
    await moderator.click(message(running), label="Cancel")
    assert public_text(running) == "Cancelled."


async def test_a_moderator_may_cancel_a_queued_job(moderator: MemberActor, queued: InteractionResult) -> None:
    await moderator.click(message(queued), label="Cancel")
    assert public_text(queued) == "Cancelled."


@pytest.mark.usefixtures("running")
async def test_a_moderator_of_another_server_may_not(env: Env, engine: Engine, device: FakeDevice) -> None:
    (job,) = engine.running()
    elsewhere = env.create_guild("Dogs")
    boss = elsewhere.add_member(env.create_user("boss"), roles=[_mods(elsewhere)])
    room = elsewhere.create_text_channel("general")
    other = await _shown(boss, room, env, device)
    stored = env.backend.get_message(room.id, message(other).id)
    stored.components[0]["components"][0]["custom_id"] = f"hubcord:cancel:{job.id}"
    click = await boss.click(message(other), label="Cancel")
    assert private_text(click) == NOT_YOURS
    assert device.cancelled == []


async def test_who_moderates_one_channel_may_there_and_nowhere_else(
    env: Env,
    guild: GuildHandle,
    running: InteractionResult,
    bob: MemberActor,
    device: FakeDevice,
    engine: Engine,
) -> None:
    (job,) = engine.running()
    keeper = guild.create_role("Keeper of the lobby")
    rights = discord.PermissionOverwrite(manage_messages=True)
    lobby = guild.create_text_channel("lobby", overwrites={keeper: rights})
    carol = guild.add_member(env.create_user("carol"), roles=[keeper])
    there = await _shown(bob, lobby, env, device)
    assert private_text(await carol.click(message(running), label="Cancel")) == NOT_YOURS
    stored = env.backend.get_message(lobby.id, message(there).id)
    own_id = stored.components[0]["components"][0]["custom_id"]
    stored.components[0]["components"][0]["custom_id"] = f"hubcord:cancel:{job.id}"
    assert private_text(await carol.click(message(there), label="Cancel")) == NOT_YOURS
    stored.components[0]["components"][0]["custom_id"] = own_id
    await carol.click(message(there), label="Cancel")
    assert public_text(there) == "Cancelled."
    assert device.cancelled == []


def _mods(guild: GuildHandle) -> RoleHandle:
    return guild.create_role("Moderators", permissions=discord.Permissions(manage_messages=True))


async def test_twice_is_no_harm(alice: MemberActor, running: InteractionResult, device: FakeDevice, env: Env) -> None:
    device.obeys = False
    first = await alice.click(message(running), label="Cancel")
    second = await alice.click(message(running), label="Cancel")
    assert first.acknowledged
    assert second.acknowledged
    device.release()
    await env.settle()
    assert public_text(running) == "Cancelled."


async def test_after_the_end(alice: MemberActor, running: InteractionResult, device: FakeDevice, env: Env) -> None:
    env.inject_error("PATCH", "/webhooks/*/@original", status=500, times=None)  # so that the button stays
    device.release()
    await env.settle()
    click = await alice.click(message(running), label="Cancel")
    assert private_text(click) == ENDED


async def test_one_of_a_batch(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, engine: Engine
) -> None:
    engine.estimator.seconds_per_unit["path:models/plain-mood"] = 0.001
    device.hold()
    first = await bob.slash(channel, "imagine", prompt="a dog")
    mine = await alice.slash(channel, "sentiment", text="x")
    others = await bob.slash(channel, "sentiment", text="y")
    await env.advance_time(1.1)
    await bob.click(message(first), label="Cancel")
    assert len(device.batches[-1].items) == 2

    await env.advance_time(1.1)
    await alice.click(message(mine), label="Cancel")
    assert public_text(mine) == "Running…"
    device.release()
    await env.settle()
    assert public_text(mine) == "Cancelled."
    assert embed(others).title == "positive · 90.0%"


async def test_in_direct_messages(env: Env, device: FakeDevice) -> None:
    carol = env.create_user("carol")
    device.hold()
    result = await carol.slash("imagine", prompt="a cat")
    await env.advance_time(1.1)
    await carol.click(message(result), label="Cancel")
    assert public_text(result) == "Cancelled."


async def test_where_only_a_person_installed_the_bot(
    alice: MemberActor,
    bob: MemberActor,
    moderator: MemberActor,
    channel: ChannelHandle,
    bot: Bot,
    env: Env,
    device: FakeDevice,
    asks_with: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There the bot is no member and knows no roles; what counts is who asks, and the right to manage the channel."""
    monkeypatch.setattr(bot, "get_guild", lambda _guild_id: None)
    asks_with |= {"context": 2, "authorizing_integration_owners": {"1": str(alice.id)}}
    first = await _shown(alice, channel, env, device)
    assert private_text(await bob.click(message(first), label="Cancel")) == NOT_YOURS
    await alice.click(message(first), label="Cancel")
    assert public_text(first) == "Cancelled."
    second = await _shown(alice, channel, env, device)
    await moderator.click(message(second), label="Cancel")
    assert public_text(second) == "Cancelled."
