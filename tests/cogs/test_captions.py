"""Test in a real worker process that a picture is posted all the same when it can't be described."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.bot import Bot
from bot.config import Settings
from bot.engine.engine import Engine
from bot.store.base import NoStore
from bot.wiring import make_engine
from tests.fakes.seen import message, public_text
from tests.fakes.simulation import simulated
from tests.models.tiny_vision import tiny_git

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    git = tiny_git(tmp_path / "git")
    (git / "model.safetensors").write_bytes(b"half of what it was")
    return {
        "devices": {"use": ["cpu"]},
        "imagine": {"alt_text": "caption"},
        "describe": {"models": [f"path:{git}"]},
    }


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    engine = make_engine(settings, store=NoStore())
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture
async def env(engine: Engine, settings: Settings) -> AsyncIterator[Env]:
    env = Env(Bot(engine=engine, settings=settings, shard_count=1), settle_timeout=100.0)
    async with simulated(env):
        yield env


@pytest.mark.usefixtures("warm_workers")
async def test_a_picture_that_cannot_be_described_has_its_prompt(alice: MemberActor, channel: ChannelHandle) -> None:
    for seed in (1, 2):
        result = await alice.slash(channel, "imagine", prompt="a cat", steps=2, seed=seed)
        (file,) = message(result).attachments
        assert re.fullmatch("A picture made by emoji-sd@.* from the prompt: a cat", file.description or "")
    described = await alice.slash(channel, "describe", image=("cat.png", await file.read()))
    assert public_text(described) == "The model git can't be loaded for this."
