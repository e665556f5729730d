"""Test that answers survive trouble on Discord's side and on the way to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import aiohttp
import discord
import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.engine.engine import Engine
from tests.fakes.executor import FakeDevice
from tests.fakes.faults import PAGE, Fault, Faults
from tests.fakes.seen import edits, embed, message, posts, public_text


@pytest.fixture
def cut_off(env: Env, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what lets the next requests of interactions fail on the way."""
    left = 0
    send = env._webhook_adapter.request

    async def request(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            raise aiohttp.ClientConnectionError("connection reset")
        return await send(*args, **kwargs)

    def fail(times: int) -> None:
        nonlocal left
        left = times

    monkeypatch.setattr(env._webhook_adapter, "request", request)
    return fail


async def test_an_answer_is_posted_again_when_discord_has_trouble(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    env.inject_error("PATCH", "/webhooks/*/@original", status=503, times=3)
    result = await alice.slash(channel, "imagine", prompt="a cat")
    for wait_s in (5, 30, 120):
        assert not message(result).embeds
        await env.advance_time(wait_s)
    assert embed(result).description == "> a cat"
    assert len(edits(env)) == 4
    assert len(device.batches) == 1
    assert posts(env) == []


async def test_a_lost_connection_while_progress_is_shown(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, cut_off: Callable[[int], None]
) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    cut_off(1)
    await env.advance_time(1.1)
    assert result.deferred
    device.progress(2, 4)
    await env.advance_time(1.1)
    assert public_text(result).endswith("step 2 of 4")
    cut_off(1)
    device.release()
    await env.settle()
    await env.advance_time(5)
    assert embed(result).description == "> a cat"


async def test_a_lost_connection_before_the_first_response(
    alice: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    engine: Engine,
    cut_off: Callable[[int], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    device.hold()
    cut_off(3)
    result = await alice.slash(channel, "imagine", prompt="a cat")
    assert not result.acknowledged
    assert len(env.errors) == 1
    assert engine.running() == []
    assert not engine.jobs
    assert "an error couldn't be shown" in caplog.text


async def test_a_first_response_that_got_lost_is_sent_once_more(
    alice: MemberActor, channel: ChannelHandle, cut_off: Callable[[int], None]
) -> None:
    cut_off(1)
    result = await alice.slash(channel, "imagine", prompt="a cat")
    assert embed(result).description == "> a cat"


async def test_a_first_response_whose_confirmation_got_lost_is_no_trouble(
    alice: MemberActor, channel: ChannelHandle, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[bool] = []
    send = env._webhook_adapter.request

    async def request(*args: Any, **kwargs: Any) -> Any:
        answer = await send(*args, **kwargs)
        if not lost:
            lost.append(True)
            raise aiohttp.ServerDisconnectedError
        return answer

    monkeypatch.setattr(env._webhook_adapter, "request", request)
    result = await alice.slash(channel, "imagine", prompt="a cat")
    assert embed(result).description == "> a cat"


@pytest.mark.parametrize("kind", ["POST /interactions/.*/callback", "PATCH /webhooks/.*/@original"])
async def test_a_page_of_something_in_between_is_no_end(
    alice: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In place of the confirmation of the first response, or of a progress."""
    Faults(monkeypatch).add(kind, Fault([PAGE], after=True))
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(1.1)
    assert public_text(result) == "Running…"
    device.release()
    await env.settle()
    assert embed(result).description == "> a cat"
    assert env.errors == []


async def test_a_clock_that_is_fast_makes_no_answer_late(
    alice: MemberActor, channel: ChannelHandle, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = discord.utils.utcnow
    monkeypatch.setattr(discord.utils, "utcnow", lambda: now() + timedelta(minutes=20))
    result = await alice.slash(channel, "imagine", prompt="a cat")
    assert embed(result).description == "> a cat"
    assert posts(env) == []
