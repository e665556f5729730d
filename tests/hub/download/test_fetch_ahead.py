"""Test that the default models are fetched when the bot starts, while it answers with others."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bot.bundled.prepare import prepare
from bot.config import parse_settings
from bot.errors import ModelUnavailable
from bot.hub.download import fetch_ahead
from bot.hub.download.fetch_ahead import FetchAhead, default_models
from bot.hub.model_filter import ANYTHING, ModelFilter
from tests.fakes.waiting import until
from tests.hub.finding import hub_environment
from tests.hub.loopback_hub import LoopbackHub, serve_hub
from tests.models.tiny_models import tiny_sentiment
from tests.wire.discord_server import discord_server
from tests.wire.process import CONFIG, hubcord, log_of

LARGE = "model-00001-of-00002.safetensors"
"""A file that is fetched, but not loaded: there is a model.safetensors too."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """Serve a model of 64 MB, slowly."""
    folder = tiny_sentiment(tmp_path / "slow")
    (folder / LARGE).write_bytes(bytes(64 << 20))
    with serve_hub() as hub:
        for name, value in hub_environment(hub, tmp_path / "home").items():
            if name != "HUBCORD_CACHE":  # the bundled models are there
                monkeypatch.setenv(name, value)
        hub.add("org/slow", folder)
        hub.slow_s = 0.2
        yield hub


def test_the_defaults_are_fetched_unless_the_host_says_no() -> None:
    pairs = [{"from": "en", "to": to, "model": f"hf:a/{to}"} for to in ("de", "fr")]
    tables = {
        "sentiment": {"models": ["hf:a/first", "hf:a/second"]},
        "classify": {"models": ["torchvision:resnet50", "hf:a/other"]},
        "detect": {"models": ["path:x"]},
        "translate": {"pairs": pairs},
    }
    assert set(default_models(parse_settings(tables))) == {"hf:a/first", "torchvision:resnet50", "hf:a/de", "hf:a/fr"}
    assert not default_models(parse_settings(tables | {"hub": {"fetch_at_start": False}}))
    assert not default_models(parse_settings({}))


def wanted(*references: str) -> dict[str, ModelFilter]:
    return dict.fromkeys(references, ANYTHING)


async def test_a_bug_in_the_reports_holds_no_job_back(caplog: pytest.LogCaptureFixture) -> None:
    told: list[dict[str, float]] = []

    calls = itertools.count(1)

    def tell(shares: Mapping[str, float]) -> None:
        if next(calls) == 2:
            raise RuntimeError("a bug")
        told.append(dict(shares))

    async with FetchAhead(wanted("path:nowhere"), tell, lambda _error: None) as ahead:
        await asyncio.wait([ahead.start()])
    assert told == [{"path:nowhere": 0.0}, {}]
    assert "“fetch ahead” failed" in caplog.text


async def test_how_far_each_model_is_is_told_and_logged(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fetch_ahead, "_TELL_S", 0.2)
    hub.slow_s = 0.05
    told: list[dict[str, float]] = []
    failed: list[ModelUnavailable] = []
    models = wanted("hf:org/slow@main", "hf:org/nothing@main")
    with caplog.at_level(logging.INFO, logger="bot.hub.download.fetch_ahead"):
        async with FetchAhead(models, lambda shares: told.append(dict(shares)), failed.append) as ahead:
            assert told == [dict.fromkeys(models, 0.0)]
            await ahead.start()
    assert told[-1] == {}
    shares = [shares["hf:org/slow@main"] for shares in told if "hf:org/slow@main" in shares]
    assert shares == sorted(shares)
    assert len(set(shares)) > 3
    assert any("fetching hf:org/slow@main: " in line and line.endswith(" % of 67 MB") for line in caplog.messages)
    assert "hf:org/slow@main is here" in caplog.messages
    assert ["There is no such repository" in error.values["hint"] for error in failed] == [True]


async def test_a_stop_waits_for_no_download(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.slow_s = 5.0
    async with FetchAhead(wanted("hf:org/slow@main"), lambda _shares: None, print) as ahead:
        ahead.start()
        await until(lambda: any(LARGE in request for request in hub.requests), within_s=20)
    await asyncio.to_thread(ahead._threads.shutdown)
    assert not list((tmp_path / "home").rglob(LARGE))


@pytest.mark.timeout(240)
async def test_a_first_run_is_useful_while_it_fetches(hub: LoopbackHub, tmp_path: Path) -> None:
    prepare(["minilm-sentiment", "emoji-sd"])
    models = '[sentiment]\nmodels = ["hf:org/slow@main", "bundled:minilm-sentiment"]\n'
    async with discord_server() as discord, hubcord(discord, tmp_path, CONFIG + models):
        new = await discord.slash("sentiment", text="good day")
        other = await discord.slash("sentiment", text="good day", model="minilm-sentiment")
        await discord.wait_for(lambda: "Fetching the model, " in str(discord.edits(new)))
        await discord.wait_for(lambda: discord.answers(other))
        assert not discord.answers(new)
        hub.slow_s = 0.0
        await discord.wait_for(lambda: discord.answers(new))
    assert "org/slow" in str(discord.edits(new)[-1])
    assert "hf:org/slow@main is here" in log_of(tmp_path)
    assert len([request for request in hub.requests if request == f"GET /org/slow/{LARGE}"]) == 1
