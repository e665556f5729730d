"""Test that jobs of the demo run in real time while the simulation goes on, without a browser or a model."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from simcord import Env
from simcord.actors import MemberActor
from simcord.builders import ChannelHandle

from bot.bot import Bot
from bot.config import Settings
from bot.demo.realtime import DemoEngine, wait_outside
from bot.engine.engine import Engine
from bot.store.base import Store
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import edits, embed
from tests.fakes.simulation import make_engine
from tests.fakes.waiting import until


@pytest.fixture
async def engine(settings: Settings, device: FakeDevice, store: Store) -> AsyncIterator[Engine]:
    engine = DemoEngine.of(make_engine(settings, device, store))
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture
async def env(bot: Bot) -> AsyncIterator[Env]:
    env = Env(bot)
    await env.start()
    with env.time_context():
        bot.replies.waiting = wait_outside(env)
    yield env
    await env.shutdown()


async def test_an_action_ends_while_its_job_runs(
    env: Env, channel: ChannelHandle, alice: MemberActor, device: FakeDevice
) -> None:
    device.hold()
    began = time.monotonic()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    assert time.monotonic() - began < env.settle_timeout / 2
    assert result.deferred
    assert not edits(env)


async def test_progress_and_answer_come_in_real_time(
    env: Env, channel: ChannelHandle, alice: MemberActor, device: FakeDevice
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat")
    device.progress(3, 20)
    shown = await wait_for_edit(env, 1)
    assert "step 3 of 20" in str(shown["content"])
    device.release()
    assert (await wait_for_edit(env, 2))["embeds"]


async def test_the_queue_tells_when_a_job_starts(
    env: Env, channel: ChannelHandle, alice: MemberActor, device: FakeDevice, engine: Engine
) -> None:
    engine.estimator.seconds_per_unit["path:models/emoji NonexNone"] = 1.0  # a step
    device.hold()
    for _ in range(2):
        await alice.slash(channel, "imagine", prompt="a cat")
    queue = embed(await alice.slash(channel, "queue"))
    starts = re.search(r"<t:(\d+):R>", str(queue.fields[0].value))
    assert starts is not None
    assert 0 <= int(starts[1]) - env.now().timestamp() < 60


async def wait_for_edit(env: Env, number: int) -> Mapping[str, Any]:
    """Wait until the bot has edited that often; return the last edit."""
    await until(lambda: len(edits(env)) >= number, within_s=20)
    return edits(env)[number - 1]
