"""Test what people are told when something goes wrong, and what only the log is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from simcord import ChannelHandle, Env, GuildHandle, MemberActor

from bot.bot import Bot
from bot.engine.engine import Engine
from bot.errors import BadInput, OutOfMemory
from bot.tasks.base import Failure
from bot.tasks.sentiment.task import SentimentRequest
from bot.ui.answer import Answer
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import callbacks, edits, embed, private_text, public_text

REFERENCE = re.compile(r"Something went wrong \(reference ([0-9a-f]{6})\)\.")
TRACEBACK = 'Traceback (most recent call last):\n  File "torch/nn.py"\nRuntimeError: CUDA error in diffusers'


def _reference(text: str) -> str:
    match = REFERENCE.fullmatch(text)
    assert match, text
    return match[1]


async def test_a_sentence_of_the_worker_is_shown_word_for_word(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    device.answers(Failure(OutOfMemory("There is no room for {size}. Try {less}.", size="4096x4096", less="64x64")))
    result = await alice.slash(channel, "imagine", prompt="a cat")
    assert public_text(result) == "There is no room for 4096x4096. Try 64x64."


async def test_long_sentences_are_cut_to_fit_a_message(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, engine: Engine
) -> None:
    long = BadInput("Choose one of: {known}.", known="*name*, " * 1_000)
    device.answers(Failure(long))
    shown = public_text(await alice.slash(channel, "sentiment", text="x"))
    env.inject_error("PATCH", "/webhooks/*/@original", status=404, code=10015)
    device.answers(Failure(long))
    await alice.slash(channel, "sentiment", text="x")
    assert channel.last_message is not None
    assert channel.last_message.content == f"{alice.mention} {shown}"
    assert shown.startswith("Choose one of: \\*name\\*, ")
    assert shown.endswith("…")
    assert not engine.jobs


@pytest.mark.parametrize("config", [{"sentiment": {"models": [f"path:models/{'x' * 60}-{n}" for n in range(60)]}}])
async def test_a_refusal_names_only_some_of_many_models(alice: MemberActor, channel: ChannelHandle) -> None:
    shown = private_text(await alice.slash(channel, "sentiment", text="x", model="y"))
    assert shown.count("-") == 20
    assert shown.endswith("-19, ….")


async def test_a_bug_in_the_worker_is_a_reference_and_the_log_has_it_all(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, env: Env, caplog: pytest.LogCaptureFixture
) -> None:
    device.answers(Failure(traceback=TRACEBACK))
    result = await alice.slash(channel, "sentiment", text="x")
    reference = _reference(public_text(result))
    assert f"reference {reference}" in caplog.text
    assert TRACEBACK in caplog.text
    job_id = device.batches[0].items[0].job_id
    logged = next(record for record in caplog.records if reference in record.getMessage())
    assert job_id in str((logged.exc_info or ("", "", ""))[1])
    assert f"job {job_id} failed" in caplog.text
    assert "torch" not in str(edits(env))


async def test_a_bug_before_the_answer_is_told_privately(
    alice: MemberActor,
    channel: ChannelHandle,
    env: Env,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def breaks(*_args: Any, **_options: Any) -> None:
        raise RuntimeError("sqlalchemy is unhappy")

    monkeypatch.setattr(engine, "submit", breaks)
    result = await alice.slash(channel, "sentiment", text="x")
    assert f"reference {_reference(private_text(result))}" in caplog.text
    assert "RuntimeError: sqlalchemy is unhappy" in caplog.text
    assert len(env.errors) == 1


async def test_a_bug_in_the_answer_takes_the_place_of_the_thinking(
    alice: MemberActor, channel: ChannelHandle, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(_request: object, _result: object) -> Answer:
        raise KeyError("label")

    bot.replies.register("sentiment", breaks)
    result = await alice.slash(channel, "sentiment", text="x")
    assert f"reference {_reference(public_text(result))}" in caplog.text
    assert "KeyError: 'label'" in caplog.text


async def test_a_worker_that_dies_once_is_not_noticed(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    device.deaths = 1
    result = await alice.slash(channel, "sentiment", text="x")
    assert embed(result).title == "positive · 90.0%"
    assert len(device.batches) == 2


async def test_a_job_that_kills_the_worker_twice_is_given_up(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    device.deaths = 2
    result = await alice.slash(channel, "sentiment", text="x")
    assert public_text(result) == (
        "This job stopped the worker twice, so it won't be tried again. Try it with other options."
    )
    assert len(device.batches) == 2


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"queue": {"per_user": 1}},
            "At most 1 of your jobs can wait or run here. Try again {when}, or stop one with /cancel.",
        ),
        (
            {"queue": {"per_guild": 1}},
            "At most 1 of this server's jobs can wait or run. Try again {when}.",
        ),
        ({"queue": {"capacity": 1}}, "The queue is full: at most 1 jobs can wait or run. Try again {when}."),
    ],
)
async def test_a_full_queue_refuses_privately_and_at_once(
    alice: MemberActor,
    channel: ChannelHandle,
    env: Env,
    engine: Engine,
    device: FakeDevice,
    sentence: str,
    known: bool,
) -> None:
    if known:
        engine.estimator.learn([SentimentRequest(model="path:models/plain-mood", text="x")], seconds=240)
    device.hold()
    first = await alice.slash(channel, "sentiment", text="x")
    before = callbacks(env)
    result = await alice.slash(channel, "sentiment", text="x")
    assert private_text(result) == sentence.format(when="in 4 minutes" if known else "when one is done")
    assert callbacks(env) == [*before, 4]
    device.release()
    await env.settle()
    assert embed(first).title == "positive · 90.0%"
    assert embed(await alice.slash(channel, "sentiment", text="x")).title == "positive · 90.0%"


@pytest.mark.parametrize("config", [{"queue": {"per_user": 1, "per_guild": 2}}])
async def test_limits_count_each_person_and_server_alone(
    alice: MemberActor, bob: MemberActor, guild: GuildHandle, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    device.hold()
    carol = guild.add_member(env.create_user("carol"))
    taken = [await person.slash(channel, "sentiment", text="x") for person in (alice, bob)]
    assert all(result.deferred for result in taken)
    assert "At most 2 of this server's jobs" in private_text(await carol.slash(channel, "sentiment", text="x"))
    assert (await carol.user.slash("sentiment", text="x")).deferred


@pytest.mark.parametrize("config", [{"queue": {"expire_s": 0.01}}])
async def test_a_job_that_waited_too_long_is_told(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    late = await bob.slash(channel, "sentiment", text="x")
    device.release()
    await env.settle()
    assert public_text(late) == (
        "This job waited for 2 seconds without a turn and was dropped. Send it again when there is less to do."
    )
    assert len(device.requests) == 1


async def test_a_bot_that_stops_takes_no_more(alice: MemberActor, channel: ChannelHandle, engine: Engine) -> None:
    await engine.drain()
    result = await alice.slash(channel, "sentiment", text="x")
    assert private_text(result) == "The bot is restarting. Try again in a minute."


async def test_a_command_that_is_no_more(alice: MemberActor, channel: ChannelHandle, env: Env, bot: Bot) -> None:
    bot.tree.remove_command("help")
    result = await alice.slash(channel, "help")
    assert private_text(result) == "This command has changed. Wait a minute, reload Discord and try again."
    assert len(env.errors) == 1


async def test_an_interaction_that_is_gone_is_no_job(
    alice: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    engine: Engine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    device.hold()
    env.inject_error("POST", "/interactions/*/callback", status=404, code=10062)
    result = await alice.slash(channel, "imagine", prompt="a cat")
    assert not result.acknowledged
    assert len(env.errors) == 1
    assert engine.running() == []
    assert engine.jobs == {}
    assert "gone before it could be answered" in caplog.text
    assert "ERROR" not in {record.levelname for record in caplog.records}


async def test_an_error_that_cannot_be_shown_is_no_crash(
    alice: MemberActor, channel: ChannelHandle, env: Env, caplog: pytest.LogCaptureFixture
) -> None:
    env.inject_error("POST", "/interactions/*/callback", status=400, code=50035)
    await alice.slash(channel, "sentiment", text=" ")
    assert "an error couldn't be shown" in caplog.text


async def test_trouble_of_discord_is_called_so(
    alice: MemberActor, channel: ChannelHandle, env: Env, caplog: pytest.LogCaptureFixture
) -> None:
    env.inject_error("POST", "/interactions/*/callback", status=429, code=0)
    assert private_text(await alice.slash(channel, "help")) == "Discord has trouble. Try again in a minute."
    assert "ERROR" not in {record.levelname for record in caplog.records}
    assert len(env.errors) == 1


async def test_a_command_that_cannot_be_read_is_answered(
    alice: MemberActor, channel: ChannelHandle, bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """discord.py raises KeyError for a thread that lacks what it looks for."""

    def lacks(*_arguments: Any) -> None:
        raise KeyError("owner_id")

    monkeypatch.setattr(bot.tree, "_get_app_command_options", lacks)
    assert REFERENCE.fullmatch(private_text(await alice.slash(channel, "sentiment", text="x")))


async def test_what_goes_wrong_while_somebody_types_is_in_the_log_alone(
    alice: MemberActor, channel: ChannelHandle, env: Env, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    """Discord takes nothing but choices then: a sentence would be refused."""
    bot.tree.remove_command("translate")
    assert await alice.autocomplete(channel, "translate", "to", "p", text="x") == []
    assert callbacks(env) == [8]
    assert "no choices could be offered: CommandNotFound" in caplog.text
    assert len(env.errors) == 1


async def test_what_discord_delivers_twice_runs_once(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, bot: Bot
) -> None:
    came: list[Any] = []

    async def on_interaction(interaction: Any) -> None:
        came.append(interaction)

    bot.add_listener(on_interaction)
    await alice.slash(channel, "sentiment", text="x")
    await bot.tree._call(came[0])
    assert len(device.batches) == 1
    await alice.slash(channel, "sentiment", text="x")
    assert len(device.batches) == 2
