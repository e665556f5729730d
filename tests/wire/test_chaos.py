"""Test in short what `benchmarks/chaos.py` does at length: kills at random moments lose and double no answer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.chaos import measure
from bot.bundled.prepare import prepare


@pytest.mark.timeout(280)
async def test_kills_at_random_moments(tmp_path: Path) -> None:
    prepare(["minilm-sentiment", "emoji-sd"])
    seed = random.randrange(1_000_000)  # noqa: S311
    summary = await measure(5, seed, tmp_path)
    assert summary.answered > 0, summary
    assert summary.good, summary
