"""Test how a job is followed and answered: progress, the deleted message, the expired token, the upload limit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.bot import Bot
from bot.engine.engine import Engine
from bot.engine.job import JobState
from bot.tasks.base import Request
from bot.tasks.imagine.task import ImagineRequest, ImagineResult, Picture
from tests.fakes.answers import answer, png
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import buttons, edits, embed, message, posts, public_text

CAT = {"prompt": "a cat", "seed": 7}
PICTURE, TEXT = "path:models/emoji NonexNone", "path:models/plain-mood"


async def test_quick_jobs_show_no_progress(alice: MemberActor, channel: ChannelHandle, env: Env) -> None:
    await alice.slash(channel, "imagine", **CAT)
    (only,) = edits(env)
    assert only["embeds"]


async def test_a_job_that_ends_within_a_second_shows_no_progress(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", **CAT)
    device.progress(1, 4)
    await env.advance_time(0.8)
    device.release()
    await env.settle()
    (only,) = edits(env)
    assert only["embeds"]


async def test_progress_from_the_queue_to_the_answer(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", **CAT)
    assert result.deferred

    events: tuple[Callable[[], None], ...] = (
        lambda: None,
        device.loading,
        lambda: device.loading(0.4),
        device.started,
        lambda: device.progress(1, 4),
        lambda: device.progress(4, 4),
    )
    shown = []
    for happens in events:
        happens()
        await env.advance_time(1.1)
        shown.append(public_text(result))
        assert buttons(result) == ["Cancel"]
    assert shown == [
        "Running…",
        "Loading the model…",
        "Fetching the model, 40%",
        "Running…",
        "▰▰▱▱▱▱▱▱▱▱ step 1 of 4",
        "▰▰▰▰▰▰▰▰▰▰ step 4 of 4",
    ]
    device.release()
    await env.settle()
    assert message(result).content == ""
    assert buttons(result) == []
    assert embed(result).description == "> a cat"
    assert len(edits(env)) == len(shown) + 1


async def test_edits_only_when_the_text_changes(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", **CAT)
    await env.advance_time(30)
    for share in (0.401, 0.402, 0.403):
        device.loading(share)
        await env.advance_time(5)
    assert [edit["content"] for edit in edits(env)] == ["Running…", "Fetching the model, 40%"]


async def test_edits_at_most_once_a_second(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", **CAT)
    for k in range(50):
        device.progress(k + 1, 50)
        await env.advance_time(0.1)
    assert 4 <= len(edits(env)) <= 5
    await env.advance_time(1)
    assert public_text(result) == "▰▰▰▰▰▰▰▰▰▰ step 50 of 50"


async def test_progress_that_waits_for_its_turn_comes_before_the_answer(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been sent already: dropped, it could arrive after the answer."""
    device.hold()
    result = await alice.slash(channel, "imagine", **CAT)
    waits, goes_on, send = asyncio.Event(), asyncio.Event(), env._webhook_adapter.request

    async def request(*args: Any, **kwargs: Any) -> Any:
        waits.set()
        await goes_on.wait()
        return await send(*args, **kwargs)

    monkeypatch.setattr(env._webhook_adapter, "request", request)
    await env.advance_time(1.1)
    assert waits.is_set()
    device.release()
    await env.settle()
    assert edits(env) == []
    goes_on.set()
    await env.settle()
    progress, answered = edits(env)
    assert progress["content"] == "Running…"
    assert answered["embeds"]
    await env.advance_time(5)
    assert len(edits(env)) == 2
    assert buttons(result) == []


async def test_waiting_people_see_where_they_stand(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, engine: Engine
) -> None:
    engine.estimator.seconds_per_unit |= {PICTURE: 240.0, TEXT: 0.01}
    device.hold()
    await alice.slash(channel, "imagine", **CAT)
    next_one = await bob.slash(channel, "sentiment", text="x")
    later = await bob.slash(channel, "translate", text="x", to="pt")
    await env.advance_time(1.1)
    assert re.fullmatch(r"Next in line, starts <t:\d+:R>\.", public_text(next_one))
    assert re.fullmatch(r"1 ahead, starts <t:\d+:R>\.", public_text(later))
    before = len(edits(env))
    await bob.slash(channel, "queue")  # a new forecast, by a little later than the last
    await env.advance_time(5)
    assert len(edits(env)) == before
    device.release()
    await env.settle()
    assert embed(next_one).title == "positive · 90.0%"


async def test_who_must_wait_long_is_told_at_once(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, engine: Engine
) -> None:
    engine.estimator.seconds_per_unit[PICTURE] = 240.0
    device.hold()
    await alice.slash(channel, "imagine", **CAT)
    result = await bob.slash(channel, "sentiment", text="x")
    await env.advance_time(0.11)
    assert public_text(result).startswith("Next in line, starts <t:")


async def test_a_new_place_is_shown_and_the_same_place_is_not_shown_again(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, engine: Engine
) -> None:
    engine.estimator.seconds_per_unit[PICTURE] = 240.0
    device.hold()
    await alice.slash(channel, "imagine", **CAT)
    first = await bob.slash(channel, "sentiment", text="x")
    second = await bob.slash(channel, "translate", text="x", to="pt")
    await env.advance_time(1.1)
    shown = [public_text(second)]
    for _ in range(3):
        await alice.slash(channel, "queue")  # a new forecast
        await env.advance_time(1.1)
    assert public_text(second) == shown[0]
    before = len(edits(env))
    await bob.click(message(first), label="Cancel")
    await alice.slash(channel, "queue")
    await env.advance_time(1.1)
    assert public_text(second).startswith("Next in line, starts <t:")
    assert len(edits(env)) == before + 2  # the place, and that the other is cancelled


async def test_a_deletion_that_was_not_heard_of_is_found_by_the_next_edit(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, engine: Engine
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", **CAT)
    await env.advance_time(1.1)
    (job,) = engine.running()
    env.inject_error("PATCH", "/webhooks/*/@original", status=404, code=10008, times=None)
    device.progress(1, 4)
    await env.advance_time(1.1)
    await env.settle()
    assert job.state is JobState.CANCELLED
    assert device.cancelled == [job.id]
    assert posts(env) == []


async def test_a_deleted_message_is_not_edited_again_and_again(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    device.obeys = False
    device.hold()
    await alice.slash(channel, "imagine", **CAT)
    await env.advance_time(1.1)
    env.inject_error("PATCH", "/webhooks/*/@original", status=404, code=10008, times=None)
    before = len(edits(env))
    for k in range(4):
        device.progress(k + 1, 4)
        await env.advance_time(1.1)
    assert len(edits(env)) == before + 1
    device.release()
    await env.settle()
    assert len(edits(env)) == before + 1
    assert posts(env) == []


async def test_the_answer_to_a_deleted_message_is_dropped(
    alice: MemberActor, moderator: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", **CAT)
    await moderator.delete(message(result))
    device.release()
    await env.settle()
    assert posts(env) == []
    assert not channel.history()


async def test_a_picture_above_the_upload_limit_is_made_smaller(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, asks_with: dict[str, Any]
) -> None:
    asks_with["attachment_size_limit"] = 20_000
    device.answers(_noise())
    result = await alice.slash(channel, "imagine", **CAT)
    assert message(result).content == "-# Made smaller to fit this server's upload limit."
    (file,) = message(result).attachments
    assert file.filename == "picture-7.webp"
    assert file.size <= 20_000
    assert embed(result).image.url == "attachment://picture-7.webp"


async def test_a_picture_within_the_upload_limit_stays_as_it_is(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, asks_with: dict[str, Any]
) -> None:
    picture = _noise()
    asks_with["attachment_size_limit"] = len(picture.pictures[0].png)
    device.answers(picture)
    result = await alice.slash(channel, "imagine", **CAT)
    assert message(result).content == ""
    assert await message(result).attachments[0].read() == picture.pictures[0].png


async def test_what_may_not_be_shown_comes_in_words(alice: MemberActor, channel: ChannelHandle, env: Env) -> None:
    env.inject_error("PATCH", "/webhooks/*/@original", status=403, code=50013)
    result = await alice.slash(channel, "imagine", prompt="a cat", seed=7)
    text = public_text(result)
    assert text.startswith("> a cat\n")
    assert text.endswith("-# I can't show all of it here. Ask a moderator to allow me “Attach Files”, “Embed Links”.")
    assert posts(env) == []


async def test_only_some_pictures_are_downloaded_at_a_time(bot: Bot) -> None:
    begun: list[int] = []
    arrived = asyncio.Event()

    async def download(number: int) -> Request:
        begun.append(number)
        await arrived.wait()
        return ImagineRequest(model="m", prompt="a cat", seed=number)

    async with asyncio.TaskGroup() as group:
        building = [group.create_task(bot.replies._in_turn(download(n))) for n in range(40)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert begun == list(range(16))
        arrived.set()
    assert [task.result() for task in building] == [
        ImagineRequest(model="m", prompt="a cat", seed=n) for n in range(40)
    ]


def _noise() -> ImagineResult:
    """Return a result with a picture of more than 100 kB."""
    result = answer(ImagineRequest(model="m", prompt="a cat", seed=7))
    assert isinstance(result, ImagineResult)
    return replace(result, pictures=(Picture(png=png(256, 256, noise=True), seed=7),))
