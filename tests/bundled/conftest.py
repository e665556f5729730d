"""Prepare the bundled models once, in the user's own cache, so that a second run finds them ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.bundled.prepare import prepare


@pytest.fixture(scope="session")
def prepared() -> dict[str, Path]:
    """Return the prepared folders by name."""
    return prepare()
