"""Test /queue: what each person sees of it, and that jobs can be stopped from there."""

from __future__ import annotations

import re
from typing import Any

import discord
import pytest
from simcord import ChannelHandle, Env, GuildHandle, InteractionResult, MemberActor

from bot.bot import Bot
from bot.config import Settings
from bot.engine.engine import Engine
from bot.engine.job import JobState
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import callbacks, description, embed, message, public_text

PICTURE = "path:models/emoji NonexNone"
LONG_WAIT = r"starts <t:\d+:R>"


def _field(result: InteractionResult, name: str) -> str:
    return {field.name: field.value or "" for field in embed(result).fields}[name]


def _own(result: InteractionResult) -> str:
    return _field(result, "Yours")


def _others(result: InteractionResult) -> str:
    return _field(result, "Others' that you moderate")


def _menu(result: InteractionResult) -> list[dict[str, Any]]:
    """Return the options of the menu below the queue."""
    return [option for row in message(result).components for item in row["components"] for option in item["options"]]


@pytest.fixture
def slow(engine: Engine, device: FakeDevice) -> None:
    """Know that each picture takes 40 seconds, and keep the device busy."""
    engine.estimator.seconds_per_unit[PICTURE] = 40.0
    device.hold()


async def test_an_empty_queue(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "queue")
    assert result.ephemeral
    assert description(result) == "0 running, 0 waiting."
    assert _own(result) == "You have no jobs here."
    assert len(embed(result).fields) == 1
    assert message(result).components == []


@pytest.mark.usefixtures("slow")
async def test_shows_own_jobs_and_only_the_number_of_others(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    await alice.slash(channel, "imagine", prompt="a secret cat")
    device.progress(3, 20)
    await bob.slash(channel, "sentiment", text="a secret word")

    mine, others = await alice.slash(channel, "queue"), await bob.slash(channel, "queue")
    assert description(mine) == description(others) == "1 running, 1 waiting."
    assert _own(mine) == "/imagine: running, step 3 of 20"
    assert re.fullmatch(f"/sentiment: next, {LONG_WAIT}", _own(others))
    assert len(embed(mine).fields) == len(embed(others).fields) == 1
    assert "secret" not in str(embed(mine).to_dict()) + str(embed(others).to_dict())


@pytest.mark.usefixtures("slow")
async def test_moderators_see_whose_jobs_wait_and_never_what_is_in_them(
    alice: MemberActor, bob: MemberActor, moderator: MemberActor, channel: ChannelHandle, device: FakeDevice, env: Env
) -> None:
    await alice.slash(channel, "imagine", prompt="a secret cat")
    device.progress(3, 20)
    await bob.slash(channel, "sentiment", text="a secret word")
    await env.create_user("carol").slash("translate", text="in a direct message", to="pt")

    result = await moderator.slash(channel, "queue")
    assert description(result) == "1 running, 2 waiting."
    assert _own(result) == "You have no jobs here."
    running, waiting = _others(result).split("\n")
    assert running == f"/imagine of {alice.mention}: running, step 3 of 20"
    assert waiting == f"/sentiment of {bob.mention}: 1 ahead", (
        "carol's server used nothing yet; her job is of a new kind"
    )
    first, second = (option["label"] for option in _menu(result))
    assert first == "/imagine of alice: running, step 3 of 20"
    assert second.startswith("/sentiment of bob: ")
    assert "secret" not in str(embed(result).to_dict()) + first + second


async def test_a_job_that_just_started(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    assert _own(await alice.slash(channel, "queue")) == "/imagine: running"
    device.loading()
    assert _own(await alice.slash(channel, "queue")) == "/imagine: loading the model"


@pytest.mark.parametrize("config", [{"queue": {"per_user": 60}, "sentiment": {"max_rows": 1}}])
@pytest.mark.usefixtures("slow")
async def test_many_jobs_are_cut_short(
    alice: MemberActor, moderator: MemberActor, channel: ChannelHandle, device: FakeDevice, env: Env
) -> None:
    await alice.slash(channel, "imagine", prompt="x")
    for _ in range(49):
        await alice.slash(channel, "sentiment", text="x")
    result = await alice.slash(channel, "queue")
    assert description(result) == "1 running, 49 waiting."
    lines = _own(result).split("\n")
    assert lines[1].startswith("/sentiment: next, starts")
    assert lines[-1] == f"… and {50 - len(lines) + 1} more"
    assert len(_own(result)) <= 1024
    options = _menu(result)
    assert len(options) == 25
    assert options[0]["label"] == "All of yours here (50)"

    result = await moderator.slash(channel, "queue")
    assert _others(result).endswith("more")
    assert len(_others(result)) <= 1024
    assert len(_menu(result)) == 25
    device.release()
    await env.settle()


@pytest.mark.usefixtures("slow")
async def test_own_jobs_can_be_stopped_from_there(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, device: FakeDevice, env: Env
) -> None:
    await bob.slash(channel, "imagine", prompt="a dog")
    waiting = await alice.slash(channel, "imagine", prompt="a cat")
    other = await alice.slash(channel, "sentiment", text="x")
    result = await alice.slash(channel, "queue")
    _all, first, second = _menu(result)
    assert first["label"] == "/imagine: next"
    await alice.select(message(result), [first["value"]])
    assert callbacks(env)[-1] == 7
    assert message(result).content == "Cancelled /imagine."
    assert public_text(waiting) == "Cancelled."
    assert [option["value"] for option in _menu(result)] == [second["value"]]
    assert description(result) == "1 running, 1 waiting."

    await alice.select(message(result), [second["value"]])
    assert message(result).content == "Cancelled /sentiment."
    assert public_text(other) == "Cancelled."
    assert message(result).components == []
    assert _own(result) == "You have no jobs here."
    assert device.cancelled == []


async def test_all_own_jobs_at_once(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, device: FakeDevice, engine: Engine
) -> None:
    device.hold()
    running = await alice.slash(channel, "imagine", prompt="a cat")
    waiting = await alice.slash(channel, "sentiment", text="x")
    await bob.slash(channel, "sentiment", text="x")
    result = await alice.slash(channel, "queue")
    await alice.select(message(result), ["mine"])
    assert message(result).content == "Cancelled your jobs here: 2."
    assert public_text(running) == public_text(waiting) == "Cancelled."
    (job,) = engine.jobs.values()
    assert job.requester.user_id == bob.id


async def test_moderators_stop_others_jobs_from_there(
    alice: MemberActor, moderator: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    device.hold()
    device.obeys = False
    await alice.slash(channel, "imagine", prompt="a cat")
    result = await moderator.slash(channel, "queue")
    (option,) = _menu(result)
    await moderator.select(message(result), [option["value"]])
    assert message(result).content == "Stopping /imagine at its next step."
    assert device.cancelled == [option["value"]]


async def test_a_job_that_has_ended_meanwhile(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, env: Env
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    result = await alice.slash(channel, "queue")
    (option,) = _menu(result)
    device.release()
    await env.settle()
    await alice.select(message(result), [option["value"]])
    assert message(result).content == "This job has ended already."
    assert message(result).components == []


async def test_the_menu_works_after_a_restart(
    alice: MemberActor,
    channel: ChannelHandle,
    device: FakeDevice,
    env: Env,
    engine: Engine,
    settings: Settings,
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    result = await alice.slash(channel, "queue")
    (option,) = _menu(result)
    await env.restart_bot(Bot(engine=engine, settings=settings, shard_count=1))
    await alice.select(message(result), [option["value"]])
    assert message(result).content == "Stopping /imagine at its next step."
    assert device.cancelled == [option["value"]]


async def test_who_moderates_no_more_may_not(
    alice: MemberActor, env: Env, guild: GuildHandle, channel: ChannelHandle, device: FakeDevice
) -> None:
    rights = discord.Permissions(manage_messages=True)
    role = guild.create_role("Moderators", permissions=rights)
    carol = guild.add_member(env.create_user("carol"), roles=[role])
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    result = await carol.slash(channel, "queue")
    (option,) = _menu(result)
    env.backend.edit_role(guild.id, role.id, {"permissions": 0})
    await env.settle()
    await carol.select(message(result), [option["value"]])
    assert message(result).content == "Only the person who asked, or a moderator, can cancel this."
    assert message(result).components == []
    assert device.cancelled == []


async def test_jobs_elsewhere_are_not_shown_here(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, engine: Engine
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    here, there = await alice.slash(channel, "queue"), await alice.user.slash("queue")
    assert _own(here) == "/imagine: running"
    assert _own(there) == "You have no jobs here."
    assert description(there) == "1 running, 0 waiting."
    assert [job.state for job in engine.jobs.values()] == [JobState.RUNNING]


async def test_works_in_direct_messages(env: Env, device: FakeDevice) -> None:
    carol = env.create_user("carol")
    assert _own(await carol.slash("queue")) == "You have no jobs here."
    device.hold()
    await carol.slash("imagine", prompt="a cat")
    result = await carol.slash("queue")
    assert _own(result) == "/imagine: running"
    await carol.select(message(result), [_menu(result)[0]["value"]])
    assert message(result).content == "Stopping /imagine at its next step."
