"""Test that a job is stopped when nobody can see its answer any more: its message, channel or server is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from simcord import ChannelHandle, Env, GuildHandle, InteractionResult, MemberActor

from bot.bot import Bot
from bot.engine.engine import Engine
from bot.engine.job import Job, JobState
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import edits, embed, message, posts

Ask = Callable[[MemberActor, ChannelHandle], Awaitable[tuple[InteractionResult, Job]]]


@pytest.fixture
def ask(engine: Engine, device: FakeDevice) -> Ask:
    """Return what asks for a picture that stays on the device, or for its turn."""

    async def ask(person: MemberActor, channel: ChannelHandle) -> tuple[InteractionResult, Job]:
        device.hold()
        result = await person.slash(channel, "imagine", prompt="a cat", seed=7)
        return result, list(engine.jobs.values())[-1]

    return ask


async def test_a_running_job_stops_at_its_next_step(
    alice: MemberActor, moderator: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, ask: Ask
) -> None:
    result, job = await ask(alice, channel)
    await moderator.delete(message(result))
    assert device.cancelled == [job.id]
    assert job.state is JobState.CANCELLED
    assert edits(env) == posts(env) == []


async def test_a_queued_job_is_gone_at_once(
    alice: MemberActor,
    bob: MemberActor,
    moderator: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    ask: Ask,
) -> None:
    first, _ = await ask(alice, channel)
    result, job = await ask(bob, channel)
    await moderator.delete(message(result))
    assert job.state is JobState.CANCELLED
    device.release()
    await env.settle()
    assert len(device.requests) == 1
    assert embed(first).description == "> a cat"
    assert len(edits(env)) == 1


async def test_many_messages_at_once(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, env: Env, engine: Engine, ask: Ask
) -> None:
    asked = [await ask(person, channel) for person in (alice, bob)]
    other, _ = await ask(alice, channel)
    env.backend.bulk_delete_messages(channel.id, [message(result).id for result, _ in asked])
    await env.settle()
    assert {job.state for _, job in asked} == {JobState.CANCELLED}
    assert len(engine.jobs) == 1
    assert message(other) is not None


async def test_a_job_that_goes_on_after_its_message_was_deleted_posts_nothing(
    alice: MemberActor, moderator: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, ask: Ask
) -> None:
    device.obeys = False
    result, _ = await ask(alice, channel)
    await moderator.delete(message(result))
    await env.advance_time(16 * 60)  # the token is too old, so that an answer would go to the channel
    device.release()
    await env.settle()
    assert edits(env) == posts(env) == []


async def test_other_messages_are_nobodys_job(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, ask: Ask
) -> None:
    said = await alice.send(channel, "Good morning")
    await ask(alice, channel)
    await alice.delete(said)
    assert device.cancelled == []


async def test_a_message_that_was_answered_may_go(
    alice: MemberActor, moderator: MemberActor, channel: ChannelHandle, env: Env, bot: Bot
) -> None:
    result = await alice.slash(channel, "imagine", prompt="a cat")
    await moderator.delete(message(result))
    await env.settle()
    assert not channel.history()
    assert bot.replies._messages == {}
    assert bot.replies._unwanted == set()


async def test_in_direct_messages(env: Env, device: FakeDevice, engine: Engine) -> None:
    device.hold()
    carol = env.create_user("carol")
    result = await carol.slash("imagine", prompt="a cat")
    env.backend.delete_message(carol.dm_channel.id, message(result).id)
    await env.settle()
    assert engine.jobs == {}
    assert len(device.cancelled) == 1


async def test_a_channel_that_is_deleted(
    alice: MemberActor, bob: MemberActor, guild: GuildHandle, channel: ChannelHandle, env: Env, engine: Engine, ask: Ask
) -> None:
    lobby = guild.create_text_channel("lobby")
    _, gone = await ask(alice, lobby)
    _, stays = await ask(bob, channel)
    env.backend.delete_channel(lobby.id)
    await env.settle()
    assert gone.state is JobState.CANCELLED
    assert list(engine.jobs) == [stays.id]
    assert edits(env) == posts(env) == []


async def test_a_server_that_the_bot_was_removed_from(
    alice: MemberActor, env: Env, guild: GuildHandle, channel: ChannelHandle, engine: Engine, bot: Bot, ask: Ask
) -> None:
    elsewhere = env.create_guild("Dogs")
    boss = elsewhere.add_member(env.create_user("boss"))
    _, gone = await ask(alice, channel)
    _, stays = await ask(boss, elsewhere.create_text_channel("general"))
    env.backend.remove_guild(guild.id)
    await env.settle()
    assert bot.get_guild(guild.id) is None
    assert gone.state is JobState.CANCELLED
    assert list(engine.jobs) == [stays.id]
    assert edits(env) == posts(env) == []


async def test_a_server_that_is_only_away_keeps_its_jobs(
    alice: MemberActor, env: Env, guild: GuildHandle, channel: ChannelHandle, engine: Engine, ask: Ask
) -> None:
    await ask(alice, channel)
    env.backend.emit("GUILD_DELETE", {"id": str(guild.id), "unavailable": True})
    await env.settle()
    assert len(engine.jobs) == 1


async def test_messages_to_the_bot_are_no_commands(alice: MemberActor, channel: ChannelHandle, env: Env) -> None:
    await alice.send(channel, f"<@{env.bot.user.id}> help")  # type: ignore[union-attr]
    assert env.errors == []
    assert posts(env) == []
