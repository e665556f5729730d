"""Test that a cancellation which was confirmed is one, even if the bot is killed at that moment."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.engine.engine import Engine
from tests.fakes.executor import FakeDevice
from tests.fakes.lives import Lives
from tests.fakes.seen import buttons, edits, message, posts, private_text, public_text


@pytest.mark.parametrize("with_button", [True, False])
async def test_a_confirmed_cancellation_outlives_a_crash(
    alice: MemberActor,
    channel: ChannelHandle,
    env: Env,
    engine: Engine,
    device: FakeDevice,
    lives: Lives,
    with_button: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is durable when Discord hears of it, though the job runs on, and even begins to compute after that."""
    device.obeys = device.starts = False
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(1.1)
    stored = _states_at_responses(env, lives, monkeypatch)
    if with_button:
        await alice.click(message(result), label="Cancel")
    else:
        confirmed = await alice.slash(channel, "cancel")
        assert private_text(confirmed) == "Stopping /imagine at its next step."
    device.started()
    assert stored == ["cancelled"]
    assert len(engine.running()) == 1
    await lives.crash(engine)

    second = FakeDevice()
    engine = await lives.again(env, second)
    assert public_text(result) == "Cancelled."
    assert buttons(result) == []
    await lives.crash(engine)
    before = len(edits(env))
    third = FakeDevice()
    await lives.again(env, third)
    assert second.batches == third.batches == []
    assert len(edits(env)) == before
    assert posts(env) == []


def _states_at_responses(env: Env, lives: Lives, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the stored state of the job whenever an interaction is responded to."""
    states: list[str] = []
    send = env._webhook_adapter.request

    async def request(route: Any, *args: Any, **kwargs: Any) -> Any:
        if route.url.endswith("/callback"):
            with contextlib.closing(sqlite3.connect(lives.file)) as connection:
                states.extend(state for (state,) in connection.execute("SELECT state FROM jobs"))
        return await send(route, *args, **kwargs)

    monkeypatch.setattr(env._webhook_adapter, "request", request)
    return states
