"""Test how long a model that can't be had isn't tried again."""

from __future__ import annotations

import time

import pytest

from bot.errors import ModelUnavailable
from bot.inference.device import Device
from bot.inference.hub import ModelFiles
from bot.inference.models import ModelCache
from tests.inference.tiny_models import tiny_sentiment

CPU = Device("cpu")


class Hub:
    """Take 30 s to fail, as a hub that can't be reached; `now` is the clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.tries = 0
        self.away = True

    def load(self, _files: ModelFiles, _device: Device) -> str:
        self.tries += 1
        if self.away:
            self.now += 30.0
            raise ModelUnavailable("The model isn't available on this server yet.")
        return "model"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    monkeypatch.setattr("bot.inference.models.measured_bytes", lambda _model: 1)
    return made


@pytest.fixture
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"path:{tiny_sentiment(tmp_path_factory.mktemp('models') / 'tiny')}"


def test_twenty_jobs_for_a_model_that_is_away_cost_one_try(hub: Hub, reference: str) -> None:
    cache = ModelCache(CPU, budget_bytes=1 << 30, idle_unload_s=60.0)
    for _ in range(20):
        with pytest.raises(ModelUnavailable):
            cache.get(reference, hub.load)
    assert hub.tries == 1


def test_it_is_tried_again_after_a_while(hub: Hub, reference: str) -> None:
    cache = ModelCache(CPU, budget_bytes=1 << 30, idle_unload_s=60.0)
    with pytest.raises(ModelUnavailable):
        cache.get(reference, hub.load)
    hub.now, hub.away = hub.now + 121.0, False
    assert cache.get(reference, hub.load) == "model"
