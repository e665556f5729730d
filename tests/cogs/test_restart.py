"""Test that a restart loses no job, runs none twice without need, and answers each once, in its own message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.config import parse_settings
from bot.engine.engine import Engine
from tests.conftest import MODELS
from tests.fakes.answers import png
from tests.fakes.executor import FakeDevice
from tests.fakes.lives import Lives
from tests.fakes.seen import buttons, commands, edits, embed, message, posts, public_text


async def test_held_and_queued_jobs_run_and_are_answered_once(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, lives: Lives
) -> None:
    device.hold()
    picture = await alice.slash(channel, "imagine", prompt="a cat", seed=7)
    text = await bob.slash(channel, "sentiment", text="x")
    await env.advance_time(1.1)
    assert public_text(picture) == "Running…"

    second = FakeDevice()
    await lives.again(env, second)
    await env.settle()

    assert embed(picture).description == "> a cat"
    assert buttons(picture) == []
    assert embed(text).title == "positive · 90.0%"
    assert second.requests == [*device.requests, *second.requests[1:]]
    assert len(second.requests) == 2
    assert len([edit for edit in edits(env) if edit.get("embeds")]) == 2
    assert posts(env) == []
    assert len(channel.history()) == 2

    third = FakeDevice()
    await lives.again(env, third)
    assert third.requests == []
    assert len([edit for edit in edits(env) if edit.get("embeds")]) == 2


@pytest.mark.parametrize("config", [{"detect": {"models": ["path:models/street"]}}])
async def test_an_answer_whose_command_has_gone_meanwhile(
    alice: MemberActor, channel: ChannelHandle, env: Env, lives: Lives
) -> None:
    env.inject_error("PATCH", "/webhooks/*/@original", status=500, times=None)
    result = await alice.slash(channel, "detect", image=("street.png", png(2, 2)))
    env.backend.faults.clear()
    lives.settings = parse_settings(MODELS)
    await lives.again(env, FakeDevice())
    assert public_text(result) == "This command isn't offered here any more."


async def test_an_answer_that_cannot_be_made_is_told_once(
    alice: MemberActor, channel: ChannelHandle, env: Env, lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    env.inject_error("PATCH", "/webhooks/*/@original", status=500, times=None)
    result = await alice.slash(channel, "imagine", prompt="a cat")
    env.backend.faults.clear()
    monkeypatch.setattr("bot.tasks.imagine.view.imagine_answer", None)
    await lives.again(env, FakeDevice())
    assert public_text(result).startswith("Something went wrong (reference ")
    before = len(edits(env))
    await lives.again(env, FakeDevice())
    assert len(edits(env)) == before


@pytest.mark.parametrize(
    ("command", "options", "gone"),
    [
        ("sentiment", {"text": "x"}, {"models": ["path:models/film-reviews"]}),
        ("translate", {"text": "x", "to": "pt"}, {"pairs": [{"from": "de", "to": "pt", "model": "path:models/de-pt"}]}),
    ],
)
async def test_a_job_whose_model_has_gone_meanwhile_is_not_run(
    alice: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    lives: Lives,
    command: str,
    options: dict[str, str],
    gone: dict[str, Any],
) -> None:
    device.hold()
    result = await alice.slash(channel, command, **options)
    lives.settings = parse_settings(MODELS | {command: gone})
    second = FakeDevice()
    await lives.again(env, second)
    assert public_text(result).startswith("The model of this job isn't offered here any more.")
    assert second.batches == []


@pytest.mark.parametrize("config", [{"sentiment": {"models": ["hf:org/film-reviews@old"]}}])
async def test_a_job_outlives_another_pin_of_its_model(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, lives: Lives
) -> None:
    device.hold()
    await alice.slash(channel, "sentiment", text="x")
    lives.settings = parse_settings(MODELS | {"sentiment": {"models": ["hf:org/film-reviews@new"]}})
    second = FakeDevice()
    await lives.again(env, second)
    await env.settle()
    assert [request.model for request in second.requests] == ["hf:org/film-reviews@old"]


async def test_a_job_beyond_the_limits_of_now_is_not_run(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, lives: Lives
) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat", steps=50)
    lives.settings = parse_settings(MODELS | {"imagine": MODELS["imagine"] | {"max_steps": 20}})
    second = FakeDevice()
    await lives.again(env, second)
    assert public_text(result) == "Use at most 20 steps."
    assert second.batches == []


@pytest.mark.parametrize("waits_s", [(), (5, 30, 120)])
async def test_a_done_job_is_answered_without_running_again(
    alice: MemberActor, channel: ChannelHandle, env: Env, lives: Lives, waits_s: tuple[float, ...]
) -> None:
    env.inject_error("PATCH", "/webhooks/*/@original", status=500, times=None)
    result = await alice.slash(channel, "classify", image=("cat.png", png(2, 2)))
    for wait_s in waits_s:
        await env.advance_time(wait_s)
    assert not message(result).embeds

    env.backend.faults.clear()
    second = FakeDevice()
    await lives.again(env, second)
    assert second.batches == []
    assert embed(result).title == "tabby cat · 50.0%"
    assert [file.filename for file in message(result).attachments] == ["picture.png"]


async def test_a_button_of_the_last_life_cancels(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, lives: Lives
) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(1.1)

    second = FakeDevice()
    second.hold()
    await lives.again(env, second)
    click = await bob.click(message(result), label="Cancel")
    assert "Only the person who asked" in message(click).content
    await alice.click(message(result), label="Cancel")
    assert public_text(result) == "Cancelled."
    assert buttons(result) == []
    assert len(second.cancelled) == 1


async def test_the_language_is_remembered(
    alice: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    lives: Lives,
    asks_with: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asks_with["locale"] = "pt-BR"
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    seen: list[str] = []
    monkeypatch.setattr("bot.replies.service.use_locale", seen.append)
    await lives.again(env, FakeDevice())
    assert embed(result).description == "> a cat"
    assert seen == ["pt-BR"]


async def test_progress_goes_on(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, lives: Lives
) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    second = FakeDevice()
    second.hold()
    await lives.again(env, second)
    second.progress(2, 4)
    await env.advance_time(1.1)
    assert public_text(result) == "▰▰▰▰▰▱▱▱▱▱ step 2 of 4"


async def test_an_answer_to_a_dead_token_is_posted(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, lives: Lives
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(16 * 60)
    await lives.again(env, FakeDevice())
    await lives.again(env, FakeDevice())
    assert len(posts(env)) == 1
    assert channel.last_message is not None
    assert channel.last_message.content == alice.mention
    assert channel.last_message.embeds[0].description == "> a cat"


async def test_an_answer_that_was_posted_but_not_marked_is_not_given_again_elsewhere(
    alice: MemberActor, channel: ChannelHandle, env: Env, engine: Engine, lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "mark_answered", lambda _: None)
    result = await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(16 * 60)
    await lives.again(env, FakeDevice())
    assert embed(result).description == "> a cat"
    assert len(message(result).attachments) == 1
    assert posts(env) == []
    await lives.again(env, FakeDevice())
    assert len(channel.history()) == 1


@pytest.mark.parametrize("code", [10008, 10015])
async def test_a_job_whose_first_response_never_arrived_is_answered_in_the_channel(
    alice: MemberActor,
    channel: ChannelHandle,
    env: Env,
    engine: Engine,
    device: FakeDevice,
    lives: Lives,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device.hold()
    monkeypatch.setattr(engine.store, "update_address", lambda *_: None)
    await alice.slash(channel, "imagine", prompt="a cat")
    for method in ("GET", "PATCH"):
        env.inject_error(method, "/webhooks/*/@original", status=404, code=code, times=None)
    await lives.again(env, FakeDevice())
    assert len(posts(env)) == 1
    assert channel.last_message is not None
    assert channel.last_message.embeds[0].description == "> a cat"


async def test_a_message_that_was_deleted_meanwhile_is_left_alone(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, lives: Lives
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(1.1)
    env.inject_error("PATCH", "/webhooks/*/@original", status=404, code=10008, times=None)
    await lives.again(env, FakeDevice())
    assert posts(env) == []


async def test_a_message_of_the_last_life_that_is_deleted_stops_its_job(
    alice: MemberActor,
    moderator: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    lives: Lives,
) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(1.1)
    second = FakeDevice()
    second.hold()
    engine = await lives.again(env, second)
    await moderator.delete(message(result))
    await env.settle()
    assert len(second.cancelled) == 1
    assert engine.running() == []
    assert posts(env) == []


async def test_a_late_answer_lost_between_its_two_steps_has_one_message(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, lives: Lives
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(16 * 60)
    env.inject_error("PATCH", "/channels/*/messages/*", status=500, times=None)
    await lives.again(env, FakeDevice())
    assert channel.last_message is not None
    assert channel.last_message.content == f"{alice.mention} Your answer is ready."
    env.backend.faults.clear()
    await lives.again(env, FakeDevice())
    assert len(posts(env)) == 1
    assert channel.last_message.embeds[0].description == "> a cat"


async def test_a_private_answer_stays_private(
    alice: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    lives: Lives,
    asks_with: dict[str, Any],
) -> None:
    clicked = await alice.send(channel, "Good morning")
    asks_with["locale"] = "pt-BR"
    device.hold()
    result = await alice.context_menu(channel, "Translate", clicked)
    await lives.again(env, FakeDevice())
    assert message(result).ephemeral
    assert (embed(result).title or "").startswith("English → Portuguese")


async def test_stops_in_the_middle_are_not_held_against_a_job(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, lives: Lives
) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    for _ in range(3):
        held = FakeDevice()
        held.hold()
        await lives.again(env, held)
        assert len(held.batches) == 1
    await lives.again(env, FakeDevice())
    assert embed(result).description == "> a cat"


async def test_a_job_that_was_running_at_two_crashes_is_given_up(
    alice: MemberActor, channel: ChannelHandle, env: Env, engine: Engine, device: FakeDevice, lives: Lives
) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    await lives.crash(engine)
    second = FakeDevice()
    second.hold()
    engine = await lives.again(env, second)
    assert len(second.batches) == 1
    await lives.crash(engine)

    third = FakeDevice()
    await lives.again(env, third)
    assert third.batches == []
    assert public_text(result).startswith("The bot crashed twice while this job ran")


@pytest.mark.parametrize("config", [{"queue": {"expire_s": 0.01}}])
async def test_a_job_that_expired_meanwhile_is_told(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, lives: Lives
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    result = await bob.slash(channel, "sentiment", text="x")
    second = FakeDevice()
    await lives.again(env, second)
    assert public_text(result).startswith("This job waited for")


async def test_commands_are_registered_only_when_they_changed(
    env: Env, device: FakeDevice, lives: Lives, tmp_path: Path
) -> None:
    await lives.again(env, device)
    assert len(commands(env)) == 1

    lives.file = tmp_path / "new.db"
    await lives.again(env, device)
    assert len(commands(env)) == 2
    assert commands(env)[0] == commands(env)[1]
