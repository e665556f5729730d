"""Test that answers arrive when the interaction's 15 minutes are over, or its token fails earlier."""

from __future__ import annotations

import json
from typing import Any

import pytest
from simcord import ChannelHandle, Env, InteractionResult, MemberActor

from bot.errors import OutOfMemory
from bot.tasks.base import Failure
from bot.tasks.imagine.task import ImagineRequest
from tests.fakes.answers import png
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import buttons, edits, embed, message, posts, public_text

MINUTES = 60
TOO_LARGE = "The answer is too large to upload here."


@pytest.fixture
async def late(alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice) -> InteractionResult:
    """Return the answer to alice's picture, still on the device after 16 minutes."""
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat", seed=7)
    await env.advance_time(16 * MINUTES)
    return result


async def _finish(env: Env, device: FakeDevice) -> None:
    device.release()
    await env.settle()


async def test_is_posted_in_the_channel_for_the_asker_alone(
    alice: MemberActor, channel: ChannelHandle, late: InteractionResult, env: Env, device: FakeDevice
) -> None:
    await _finish(env, device)

    posted = channel.last_message
    assert posted is not None
    assert posted.content == alice.mention
    assert posted.embeds[0].description == "> a cat"
    assert [file.filename for file in posted.attachments] == ["picture-7.png"]
    assert await posted.attachments[0].read() == png(8, 8)
    (body,) = posts(env)
    assert body["content"] == f"{alice.mention} Your answer is ready."
    assert body["allowed_mentions"] == {"parse": [], "users": [alice.id]}
    assert body["nonce"] == device.batches[0].items[0].job_id
    assert body["enforce_nonce"] is True
    assert public_text(late) == f"The answer is here: {posted.jump_url}"
    assert buttons(late) == []


async def test_progress_goes_on_without_the_token(late: InteractionResult, env: Env, device: FakeDevice) -> None:
    before = len(edits(env))
    device.progress(1, 4)
    await env.advance_time(2)
    assert len(edits(env)) == before
    assert public_text(late).endswith("step 1 of 4")
    assert buttons(late) == ["Cancel"]
    await _finish(env, device)
    assert len(edits(env)) == before
    assert len(posts(env)) == 1
    assert late.followups == []


async def test_a_private_answer_goes_by_direct_message(
    alice: MemberActor,
    bob: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    asks_with: dict[str, Any],
) -> None:
    clicked = await bob.send(channel, "Good morning")
    asks_with["locale"] = "pt-BR"
    device.hold()
    await alice.context_menu(channel, "Translate", clicked)
    await env.advance_time(16 * MINUTES)
    await _finish(env, device)

    arrived = alice.user.dm_channel.last_message
    assert arrived is not None
    assert (arrived.embeds[0].title or "").startswith("English → Portuguese")
    assert arrived.content == ""
    assert channel.last_message is not None
    assert channel.last_message.content == "Good morning"


async def test_in_direct_messages(env: Env, device: FakeDevice) -> None:
    carol = env.create_user("carol")
    device.hold()
    await carol.slash("imagine", prompt="a cat")
    await env.advance_time(16 * MINUTES)
    await _finish(env, device)
    assert carol.dm_channel.last_message is not None
    assert carol.dm_channel.last_message.embeds[0].description == "> a cat"


async def test_a_token_that_fails_early(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    env.inject_error("PATCH", "/webhooks/*/@original", status=404, code=10015, times=None)
    await alice.slash(channel, "imagine", prompt="a cat")
    assert channel.last_message is not None
    assert channel.last_message.content == alice.mention
    assert len(device.batches) == 1


@pytest.mark.parametrize(("status", "code"), [(403, 50013), (403, 50001), (404, 10003)])
async def test_where_the_bot_may_not_post_its_own_message_has_the_answer(
    alice: MemberActor, late: InteractionResult, env: Env, device: FakeDevice, status: int, code: int
) -> None:
    env.inject_error("POST", "/channels/*/messages", status=status, code=code, times=None)
    await _finish(env, device)
    assert message(late).content == alice.mention
    assert embed(late).description == "> a cat"
    assert len(message(late).attachments) == 1
    assert buttons(late) == []
    assert len(posts(env)) == 1
    assert env.errors == []


async def test_where_the_bot_may_not_answer_at_all_it_does_so_by_direct_message(
    alice: MemberActor, channel: ChannelHandle, late: InteractionResult, env: Env, device: FakeDevice
) -> None:
    env.inject_error("POST", f"/channels/{channel.id}/messages", status=403, code=50013)
    env.inject_error("PATCH", f"/channels/{channel.id}/messages/*", status=403, code=50013)
    await _finish(env, device)
    arrived = alice.user.dm_channel.last_message
    assert arrived is not None
    assert arrived.embeds[0].description == "> a cat"
    assert public_text(late) == "I may not answer here, so I sent the answer by direct message."
    assert buttons(late) == []


async def test_an_answer_that_reaches_nobody_is_in_the_log_and_its_button_goes(
    late: InteractionResult,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    caplog: pytest.LogCaptureFixture,
) -> None:
    env.inject_error("POST", "/channels/*/messages", status=403, code=50007, times=None)
    env.inject_error("PATCH", f"/channels/{channel.id}/messages/*", status=403, code=50013)
    await _finish(env, device)
    job_id = device.batches[0].items[0].job_id
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert job_id in record.getMessage()
    assert public_text(late) == "I may not answer here. Ask a moderator to let me send messages, then ask again."
    assert buttons(late) == []
    assert env.errors == []


async def test_a_cancelled_job_pings_nobody(
    alice: MemberActor, late: InteractionResult, env: Env, device: FakeDevice
) -> None:
    await alice.click(message(late), label="Cancel")
    await env.settle()
    assert public_text(late) == "Cancelled."
    assert buttons(late) == []
    assert posts(env) == []
    device.release()


async def test_a_failure_is_not_announced_as_an_answer(
    alice: MemberActor, channel: ChannelHandle, late: InteractionResult, env: Env, device: FakeDevice
) -> None:
    device.answers(Failure(OutOfMemory("There is no room for this.")))
    await _finish(env, device)
    (body,) = posts(env)
    assert body["content"] == f"{alice.mention} Your request could not be answered."
    assert channel.last_message is not None
    assert channel.last_message.content == f"{alice.mention} There is no room for this."
    assert public_text(late).startswith("The answer is here: ")


async def test_progress_without_the_token_comes_once_a_minute(
    late: InteractionResult, env: Env, device: FakeDevice
) -> None:
    for step in range(1, 5):
        device.progress(step, 9)
        await env.advance_time(14)
    assert public_text(late).endswith("step 1 of 9")
    await env.advance_time(5)
    assert public_text(late).endswith("step 4 of 9")
    await _finish(env, device)


async def test_closed_direct_messages_are_no_crash(
    alice: MemberActor,
    bob: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clicked = await bob.send(channel, "Bom dia")
    device.hold()
    await alice.context_menu(channel, "Translate", clicked)
    await env.advance_time(16 * MINUTES)
    env.inject_error("POST", "/channels/*/messages", status=403, code=50007)
    await _finish(env, device)
    assert any("50007" in record.getMessage() for record in caplog.records)
    assert env.errors == []
    assert channel.last_message is not None
    assert channel.last_message.content.startswith(f"{alice.mention} I can't send you your answer")
    assert channel.last_message.embeds == []


@pytest.mark.parametrize("code", [40005, 0])
async def test_too_large_for_the_channel_is_said_by_token(
    alice: MemberActor, channel: ChannelHandle, env: Env, code: int
) -> None:
    """Discord says so with a code of its own, what is before it without."""
    env.inject_error("PATCH", "/webhooks/*/@original", status=413, code=code)
    result = await alice.slash(channel, "imagine", prompt="a cat")
    assert public_text(result) == TOO_LARGE
    assert message(result).attachments == []


async def test_too_large_for_the_channel_is_said_by_the_bot(
    late: InteractionResult, alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    env.inject_error("PATCH", "/channels/*/messages/*", status=413, code=40005)
    await _finish(env, device)
    assert channel.last_message is not None
    assert channel.last_message.content == f"{alice.mention} {TOO_LARGE}"
    assert public_text(late) == f"The answer is here: {channel.last_message.jump_url}"


async def test_what_may_not_be_shown_as_it_is_comes_as_text(
    alice: MemberActor,
    late: InteractionResult,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    caplog: pytest.LogCaptureFixture,
) -> None:
    env.inject_error("PATCH", "/channels/*/messages/*", status=403, code=50013)
    await _finish(env, device)
    assert channel.last_message is not None
    assert channel.last_message.content == (
        f"{alice.mention} \n> a cat\nSeed: 7\nSteps: 4\nGuidance: 7.5\nScheduler: Euler\nSize: 64×64\nTime: 1.2 s\n"
        "-# fake@1\n-# I can't show all of it here. Ask a moderator to allow me “Attach Files”, “Embed Links”."
    )
    assert public_text(late) == f"The answer is here: {channel.last_message.jump_url}"
    assert "50013" in caplog.text


async def test_an_answer_that_discord_rejects_is_reported_once(
    alice: MemberActor, channel: ChannelHandle, env: Env, caplog: pytest.LogCaptureFixture
) -> None:
    env.inject_error("PATCH", "/webhooks/*/@original", status=400, code=50035)
    result = await alice.slash(channel, "imagine", prompt="a cat")
    assert public_text(result).startswith("Something went wrong (reference ")
    assert "50035" in caplog.text
    assert posts(env) == []


async def test_the_address_is_plain_json(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    (job,) = env.bot.engine.running()  # type: ignore[attr-defined]
    assert isinstance(job.request, ImagineRequest)
    assert json.loads(json.dumps(job.reply_to)) == job.reply_to
