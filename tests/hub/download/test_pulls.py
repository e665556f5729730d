"""Test downloads in real processes, from a Hub on this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bot.config import Settings, parse_settings
from bot.errors import JobCancelled, ModelUnavailable
from bot.hub.download.pulls import Pull, Pulls
from tests.fakes.waiting import until
from tests.hub.finding import TOKEN, hub_environment
from tests.hub.loopback_hub import Fault, LoopbackHub, serve_hub
from tests.models.tiny_models import tiny_sentiment

FINE, GATED = "hf:org/sentiment@main", "hf:org/gated@main"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """Serve two repositories; a process that is started now asks this Hub."""
    folder = tiny_sentiment(tmp_path / "sentiment")
    with serve_hub() as hub:
        hub.add("org/sentiment", folder)
        hub.add("org/gated", folder, gated=True, reader=TOKEN)
        for name in [name for name in os.environ if name.startswith("HF_")]:
            monkeypatch.delenv(name)
        for name, value in hub_environment(hub, tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        yield hub


@pytest.fixture
def settings() -> Settings:
    return parse_settings({"sentiment": {"models": [FINE, GATED]}})


@pytest.fixture
def pulls(settings: Settings) -> Iterator[Pulls]:
    pulls = Pulls(settings)
    yield pulls
    pulls.close()


async def ended(pull: Pull) -> Pull:
    async with asyncio.timeout(90):
        await pull.ended.wait()
    return pull


async def test_a_model_is_fetched_and_its_bytes_are_told(hub: LoopbackHub, pulls: Pulls, tmp_path: Path) -> None:
    pull = pulls.start(FINE)
    assert pulls.start(FINE) is pull
    assert pulls.shares == {FINE: 0.0}
    await ended(pull)
    assert (pull.error, pull.shown) == (None, f"org/sentiment@{hub.repositories['org/sentiment'].sha[:7]}")
    assert pull.done == pull.total > 10_000
    assert pull.share == 1.0
    assert pulls.shares == {}
    assert list((tmp_path / "home").rglob("model.safetensors"))
    hub.requests.clear()
    again = await ended(pulls.start(FINE))
    assert (again is pull, again.shown) == (False, pull.shown)
    assert not [request for request in hub.requests if "resolve" in request]


async def test_a_gated_model_and_a_cancelled_download(hub: LoopbackHub, pulls: Pulls) -> None:
    gated, cancelled = pulls.start(GATED), pulls.start(FINE)
    cancelled.cancel()
    await ended(cancelled)
    assert isinstance(cancelled.error, JobCancelled)
    await ended(gated)
    assert isinstance(gated.error, ModelUnavailable)
    assert f"Its licence must be accepted first. 1. Accept it at {hub.url}" in gated.error.values["hint"]
    assert (gated.error.values["reference"], gated.error.values["reason"]) == (GATED, "GatedRepoError")


async def test_no_process_stays_behind(hub: LoopbackHub, settings: Settings) -> None:
    hub.faults.append(Fault("org/sentiment", 429, {"Retry_After": "60"}))
    pulls, others = Pulls(settings), set(psutil.Process().children())

    def fetching() -> set[psutil.Process]:
        return set(psutil.Process().children()) - others

    pull = pulls.start(FINE)
    await until(fetching, within_s=30)
    assert len(fetching()) == 1, "the bot only listens"
    pulls.close()
    await ended(pull)
    await until(lambda: not fetching(), within_s=30)
