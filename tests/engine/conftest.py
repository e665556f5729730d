"""Offer an engine on a fake device."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.engine.engine import Engine
from tests.engine.engines import make_engine
from tests.fakes.executor import FakeDevice


@pytest.fixture
async def engine(device: FakeDevice) -> AsyncIterator[Engine]:
    """Start an engine with small limits on a fake device."""
    engine = make_engine(device, per_user=3, per_guild=5, capacity=6)
    await engine.start()
    yield engine
    await engine.close()
