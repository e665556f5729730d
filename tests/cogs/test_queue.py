"""Test /queue."""

from __future__ import annotations

import re

import pytest
from simcord import ChannelHandle, Env, MemberActor

from tests.fakes.executor import FakeDevice
from tests.fakes.seen import description, embed


def _own(result: object) -> str:
    (field,) = embed(result).fields  # type: ignore[arg-type]
    assert field.name == "Yours"
    return field.value or ""


async def test_an_empty_queue(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "queue")
    assert result.ephemeral
    assert description(result) == "0 running, 0 waiting."
    assert _own(result) == "You have no jobs here."


async def test_shows_own_jobs_and_only_the_number_of_others(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a secret cat")
    device.progress(3, 20)
    await bob.slash(channel, "sentiment", text="a secret word")

    mine, others = await alice.slash(channel, "queue"), await bob.slash(channel, "queue")
    assert description(mine) == description(others) == "1 running, 1 waiting."
    assert _own(mine) == "/imagine: step 3 of 20"
    assert re.fullmatch(r"/sentiment: next, starts <t:\d+:R>", _own(others))
    assert "secret" not in str(embed(mine).to_dict()) + str(embed(others).to_dict())


async def test_a_job_that_just_started(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    assert _own(await alice.slash(channel, "queue")) == "/imagine: running"


@pytest.mark.parametrize("config", [{"queue": {"per_user": 30}, "sentiment": {"max_rows": 1}}])
async def test_many_jobs_are_cut_short(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, env: Env
) -> None:
    device.hold()
    for _ in range(20):
        await alice.slash(channel, "sentiment", text="x")
    result = await alice.slash(channel, "queue")
    assert description(result) == "1 running, 19 waiting."
    lines = _own(result).split("\n")
    assert len(lines) == 16
    assert lines[1].startswith("/sentiment: next")
    assert lines[-1] == "… and 5 more"
    device.release()
    await env.settle()


async def test_works_in_direct_messages(env: Env) -> None:
    result = await env.create_user("carol").slash("queue")
    assert _own(result) == "You have no jobs here."
