"""Test /cancel: what it offers, and what happens when it is sent."""

from __future__ import annotations

import time

import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.engine.engine import Engine
from bot.engine.job import Job, JobState
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import callbacks, embed, message, private_text, public_text

NO_JOBS = "You have no jobs here."


@pytest.fixture(autouse=True)
def _held(device: FakeDevice) -> None:
    device.hold()


async def _offered(person: MemberActor, channel: ChannelHandle, typed: str = "") -> list[str]:
    return [str(choice["name"]) for choice in await person.autocomplete(channel, "cancel", "job", typed)]


def _job_of(engine: Engine, person: MemberActor) -> Job:
    return next(job for job in engine.jobs.values() if job.requester.user_id == person.id)


@pytest.mark.parametrize("config", [{"queue": {"guest_share": 0}}])
async def test_offers_own_jobs_as_they_stand(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, device: FakeDevice, engine: Engine
) -> None:
    assert await _offered(alice, channel) == []
    await alice.slash(channel, "imagine", prompt="a secret cat")
    device.progress(12, 50)
    await bob.slash(channel, "sentiment", text="a secret word")
    engine.refresh_etas()
    assert await _offered(alice, channel) == ["/imagine: running, step 12 of 50"]
    assert await _offered(bob, channel) == ["/sentiment: next"]

    await alice.slash(channel, "sentiment", text="x")
    engine.refresh_etas()
    everything, running, waiting = await _offered(alice, channel)
    assert (everything, running) == ("All of yours here (2)", "/imagine: running, step 12 of 50")
    assert waiting in ("/sentiment: next", "/sentiment: 1 ahead")
    assert await _offered(alice, channel, "senti") == [waiting]


async def test_offers_moderators_all_of_the_servers(
    alice: MemberActor, moderator: MemberActor, channel: ChannelHandle, env: Env, engine: Engine
) -> None:
    await alice.slash(channel, "imagine", prompt="a secret cat")
    await moderator.slash(channel, "sentiment", text="x")
    elsewhere = env.create_guild("Dogs")
    carol = elsewhere.add_member(env.create_user("carol"))
    await carol.slash(elsewhere.create_text_channel("general"), "translate", text="x", to="pt")
    engine.refresh_etas()
    own, others = await _offered(moderator, channel)
    assert own.startswith("/sentiment: ")
    assert others == "/imagine of alice: running"
    assert await _offered(moderator, channel, "ALICE") == [others]


@pytest.mark.parametrize("config", [{"queue": {"per_user": 1_000, "per_guild": 1_000}}])
async def test_offers_25_in_milliseconds(alice: MemberActor, channel: ChannelHandle, engine: Engine) -> None:
    await alice.slash(channel, "imagine", prompt="a cat")
    first = _job_of(engine, alice)
    for _ in range(999):
        await engine.submit("imagine", first.request, first.requester, reply_to=first.reply_to)
    began = time.process_time()
    assert len(await _offered(alice, channel)) == 25
    assert time.process_time() - began < 0.1


async def test_the_one_job_needs_no_name(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, engine: Engine, env: Env
) -> None:
    await bob.slash(channel, "imagine", prompt="a dog")
    asked = await alice.slash(channel, "imagine", prompt="a cat")
    result = await alice.slash(channel, "cancel")
    assert private_text(result) == "Cancelled /imagine."
    assert callbacks(env)[-1] == 4
    assert public_text(asked) == "Cancelled."
    assert [job.requester.user_id for job in engine.jobs.values()] == [bob.id]
    assert private_text(await alice.slash(channel, "cancel")) == NO_JOBS


async def test_a_running_job_stops_at_its_next_step(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, engine: Engine
) -> None:
    asked = await alice.slash(channel, "imagine", prompt="a cat")
    job = _job_of(engine, alice)
    assert private_text(await alice.slash(channel, "cancel")) == "Stopping /imagine at its next step."
    assert device.cancelled == [job.id]
    assert public_text(asked) == "Cancelled."


async def test_of_several_one_is_chosen(alice: MemberActor, channel: ChannelHandle, engine: Engine) -> None:
    await alice.slash(channel, "imagine", prompt="a cat")
    asked = await alice.slash(channel, "sentiment", text="x")
    result = await alice.slash(channel, "cancel")
    assert result.ephemeral
    assert message(result).content == "Choose what to cancel."
    assert embed(result).title == "Queue"
    assert len(engine.jobs) == 2
    waiting = next(job for job in engine.jobs.values() if job.state is JobState.QUEUED)
    await alice.select(message(result), [waiting.id])
    assert public_text(asked) == "Cancelled."


async def test_by_a_choice(alice: MemberActor, channel: ChannelHandle, engine: Engine) -> None:
    first = await alice.slash(channel, "imagine", prompt="a cat")
    second = await alice.slash(channel, "sentiment", text="x")
    waiting = next(job for job in engine.jobs.values() if job.state is JobState.QUEUED)
    assert private_text(await alice.slash(channel, "cancel", job=waiting.id)) == "Cancelled /sentiment."
    assert public_text(second) == "Cancelled."
    assert private_text(await alice.slash(channel, "cancel", job=waiting.id)) == "This job has ended already."
    assert first.deferred
    assert len(engine.jobs) == 1


async def test_all_own_jobs_and_no_others(
    alice: MemberActor, moderator: MemberActor, channel: ChannelHandle, engine: Engine
) -> None:
    await alice.slash(channel, "imagine", prompt="a cat")
    for _ in range(2):
        await moderator.slash(channel, "sentiment", text="x")
    assert private_text(await moderator.slash(channel, "cancel", job="mine")) == "Cancelled your jobs here: 2."
    assert [job.requester.user_id for job in engine.jobs.values()] == [alice.id]
    assert private_text(await moderator.slash(channel, "cancel", job="mine")) == NO_JOBS


@pytest.mark.parametrize("typed", ["imagine", "0", "0123456789ABCDEF", "mine ", "<@1>", "x" * 6000])
async def test_what_names_no_job_is_refused(
    alice: MemberActor, channel: ChannelHandle, engine: Engine, typed: str
) -> None:
    await alice.slash(channel, "imagine", prompt="a cat")
    refused = await alice.slash(channel, "cancel", job=typed)
    assert private_text(refused) == "There is no such job. Choose one from the list."
    assert len(engine.jobs) == 1


async def test_a_foreign_job_is_refused(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, engine: Engine, device: FakeDevice
) -> None:
    await alice.slash(channel, "imagine", prompt="a cat")
    refused = await bob.slash(channel, "cancel", job=_job_of(engine, alice).id)
    assert private_text(refused) == "Only the person who asked, or a moderator, can cancel this."
    assert device.cancelled == []


async def test_a_moderator_cancels_anothers_job_by_choice_alone(
    alice: MemberActor, moderator: MemberActor, channel: ChannelHandle, engine: Engine, device: FakeDevice
) -> None:
    await alice.slash(channel, "imagine", prompt="a cat")
    shown = await moderator.slash(channel, "cancel")
    assert message(shown).content == "Choose what to cancel."
    assert device.cancelled == []
    job = _job_of(engine, alice)
    assert private_text(await moderator.slash(channel, "cancel", job=job.id)) == "Stopping /imagine at its next step."
    assert device.cancelled == [job.id]


@pytest.mark.parametrize("config", [{"queue": {"per_user": 2}}])
async def test_cancelling_frees_the_place_at_once(alice: MemberActor, channel: ChannelHandle) -> None:
    for _ in range(2):
        await alice.slash(channel, "sentiment", text="x")
    assert "At most 2 of your jobs" in private_text(await alice.slash(channel, "sentiment", text="x"))
    await alice.slash(channel, "cancel", job="mine")
    assert (await alice.slash(channel, "sentiment", text="x")).deferred


async def test_works_in_direct_messages(env: Env, engine: Engine) -> None:
    carol = env.create_user("carol")
    assert private_text(await carol.slash("cancel")) == NO_JOBS
    await carol.slash("imagine", prompt="a cat")
    (choice,) = await carol.autocomplete("cancel", "job", "")
    assert choice["name"] == "/imagine: running"
    assert private_text(await carol.slash("cancel")) == "Stopping /imagine at its next step."
    assert not engine.jobs
