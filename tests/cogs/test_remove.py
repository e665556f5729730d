"""Test who can remove an answer, and that a job stops whose message is removed."""

from __future__ import annotations

import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.engine.engine import Engine
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import message, private_text

NOT_YOURS = "Only the person who asked, or a moderator, can remove this."


async def test_an_asker_removes_their_answer(alice: MemberActor, bob: MemberActor, channel: ChannelHandle) -> None:
    answer = message(await alice.slash(channel, "imagine", prompt="a cat"))
    assert private_text(await bob.context_menu(channel, "Remove answer", answer)) == NOT_YOURS
    assert len(channel.history()) == 1
    assert private_text(await alice.context_menu(channel, "Remove answer", answer)) == "Removed."
    assert channel.history() == []


async def test_a_moderator_removes_an_answer(
    alice: MemberActor, moderator: MemberActor, channel: ChannelHandle
) -> None:
    answer = message(await alice.slash(channel, "imagine", prompt="a cat"))
    assert private_text(await moderator.context_menu(channel, "Remove answer", answer)) == "Removed."
    assert channel.history() == []


async def test_an_answer_that_came_late(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(16 * 60)
    device.release()
    await env.settle()
    answer = channel.last_message
    assert answer is not None
    assert private_text(await bob.context_menu(channel, "Remove answer", answer)) == NOT_YOURS
    assert private_text(await alice.context_menu(channel, "Remove answer", answer)) == "Removed."
    assert channel.last_message is not answer


async def test_a_running_job_stops(alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(1.1)
    await alice.context_menu(channel, "Remove answer", message(result))
    await env.settle()
    assert device.cancelled == [device.batches[0].items[0].job_id]


async def test_other_peoples_messages_stay(alice: MemberActor, channel: ChannelHandle, engine: Engine) -> None:
    said = await alice.send(channel, "hello")
    result = await alice.context_menu(channel, "Remove answer", said)
    assert private_text(result) == "This is no answer of mine."
    assert len(channel.history()) == 1
    assert not engine.jobs


@pytest.mark.parametrize(("status", "code"), [(403, 50013), (404, 10008)])
async def test_where_it_cannot_be_removed(
    alice: MemberActor, channel: ChannelHandle, env: Env, status: int, code: int
) -> None:
    answer = message(await alice.slash(channel, "imagine", prompt="a cat"))
    env.inject_error("DELETE", "/channels/*/messages/*", status=status, code=code)
    said = private_text(await alice.context_menu(channel, "Remove answer", answer))
    assert said == ("Removed." if status == 404 else "I may not remove this here. Ask a moderator to do it.")
