"""Let the bot live several times in a test that asks for `lives`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bot.config import Settings
from bot.store.base import NoStore, Store
from tests.fakes.lives import Lives


@pytest.fixture
def lives(settings: Settings, closing: AsyncExitStack, tmp_path: Path) -> Lives:
    return Lives(settings, tmp_path / "jobs.db", closing)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Store:
    """Return the store of the first life: no other one needs a file."""
    if "lives" not in request.fixturenames:
        return NoStore()
    lives: Lives = request.getfixturevalue("lives")
    return lives.store()
