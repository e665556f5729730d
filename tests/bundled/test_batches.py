"""Test on a real model that a batch changes no picture, and neither do guests between the steps."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from bot.inference.batch import BatchRun
from bot.inference.device import Device
from bot.inference.messages import Answered, Batch, BatchItem, Event
from bot.inference.models import ModelCache
from bot.inference.pipelines.imagine import ImaginePipeline, ImagineRequest, ImagineResult, ImagineSettings

pytestmark = pytest.mark.filterwarnings("ignore")  # what libraries say of their own next versions
CPU = Device("cpu", threads=1)
TOLERANCE = 8
"""How far a channel of a pixel may be off, of 255: a batch adds up in another order, and 20 steps amplify it."""


class Line:
    """Be a way back to a parent that keeps the pictures; at every step `between` is called."""

    def __init__(self, between: Callable[[], object]) -> None:
        self.results: dict[str, Any] = {}
        self._between = between

    def send(self, event: Event) -> None:
        if isinstance(event, Answered):
            self.results[event.job_id] = event.outcome

    def cancelled(self, job_id: str) -> bool:  # noqa: ARG002
        return False

    def prepared(self, job_id: str) -> Any:  # noqa: ARG002
        return None

    def give_way(self) -> float:
        self._between()
        return 0.0


@pytest.fixture(scope="module")
def models(prepared: dict[str, Path]) -> ModelCache:
    assert prepared["emoji-sd"]
    return ModelCache(CPU, budget_bytes=1 << 30, idle_unload_s=60.0)


def request(prompt: str, seed: int, count: int = 1) -> ImagineRequest:
    return ImagineRequest(model="bundled:emoji-sd", prompt=prompt, seed=seed, count=count, steps=20)


def paint(
    models: ModelCache, requests: Sequence[ImagineRequest], between: Callable[[], object] = lambda: None
) -> list[Image.Image]:
    """Return the pictures of a batch."""
    items = tuple(BatchItem(str(index), request) for index, request in enumerate(requests))
    line = Line(between)
    BatchRun(Batch("imagine", items), ImaginePipeline(ImagineSettings()), models, CPU, line).report()
    results = [line.results[item.job_id] for item in items]
    assert all(isinstance(result, ImagineResult) for result in results), results
    return [Image.open(io.BytesIO(picture.png)) for result in results for picture in result.pictures]


def difference(one: Image.Image, other: Image.Image) -> int:
    """Return the largest difference of a channel of a pixel, of 255."""
    return max(int(band[1]) for band in ImageChops.difference(one, other).getextrema())  # type: ignore[index]


def test_a_picture_is_the_same_in_a_batch_and_alone(models: ModelCache) -> None:
    together = paint(models, [request("a cat on red", 5, count=2), request("a green tree", 9)])
    alone = [
        paint(models, [one])[0]
        for one in (request("a cat on red", 5), request("a cat on red", 6), request("a green tree", 9))
    ]
    assert [difference(one, other) <= TOLERANCE for one, other in zip(together, alone, strict=True)] == [True] * 3
    assert difference(together[0], together[2]) > 100


def test_guests_between_the_steps_change_nothing(models: ModelCache) -> None:
    import torch

    def draw_random_numbers() -> None:
        torch.randn(3)

    alone = paint(models, [request("a blue heart", 3)])
    disturbed = paint(models, [request("a blue heart", 3)], draw_random_numbers)
    assert difference(alone[0], disturbed[0]) == 0
