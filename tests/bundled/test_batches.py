"""Test on a real model that a batch changes no picture, and neither do guests between the steps."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image, ImageChops

from bot.hub.resolve import find_model
from bot.tasks.imagine.parameters import Planner
from bot.tasks.imagine.pipeline import ImaginePipeline
from bot.tasks.imagine.renderer import Painter
from bot.tasks.imagine.task import ImagineRequest, ImagineResult, ImagineSettings
from bot.workers.model_cache import ModelCache
from tests.workers.line import CPU, Line, new_cache, outcomes_of

pytestmark = pytest.mark.filterwarnings("ignore")  # what libraries say of their own next versions
TOLERANCE = 2
"""How far a channel of a pixel may be off, of 255: a batch may add up in another order. Measured: 1 at most."""


@pytest.fixture(scope="module")
def models(prepared: dict[str, Path]) -> ModelCache:
    assert prepared["emoji-sd"]
    return new_cache()


def request(prompt: str, seed: int, count: int = 1) -> ImagineRequest:
    return ImagineRequest(model="bundled:emoji-sd", prompt=prompt, seed=seed, count=count, steps=20)


def paint(
    models: ModelCache, requests: Sequence[ImagineRequest], between: Callable[[], object] = lambda: None
) -> list[Image.Image]:
    """Return the pictures of a batch."""
    results = outcomes_of(ImaginePipeline(ImagineSettings()), requests, Line(between), models)
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


class Full:
    """Be a device's memory that has room for one picture at most, and only once memory is saved."""

    def __init__(self, pipe: Any, *, ever: bool = True) -> None:
        self._call, self._pipe, self._ever = type(pipe).__call__, pipe, ever
        self.asked: list[int] = []

    def __call__(self, **arguments: Any) -> Any:
        import torch

        self.asked.append(len(arguments["prompt"]))
        if len(arguments["prompt"]) > 1 or not (self._pipe.vae.use_tiling and self._ever):
            raise torch.OutOfMemoryError
        return self._call(self._pipe, **arguments)


@pytest.fixture
def painter(prepared: dict[str, Path]) -> Painter:
    return Painter(find_model(f"path:{prepared['emoji-sd']}"), CPU)


def out_of_memory(painter: Painter, full: Full, requests: Sequence[ImagineRequest]) -> list[Any]:
    """Return the outcomes of a batch for which memory runs out."""
    painter.pipe, pipe = cast("Any", full), painter.pipe
    for name in ("vae", "scheduler", "enable_attention_slicing", "unet", "vae_scale_factor"):
        setattr(full, name, getattr(pipe, name))
    models = new_cache()
    models.get("bundled:emoji-sd", lambda *_: painter)
    return outcomes_of(ImaginePipeline(ImagineSettings()), requests, cache=models)


def test_pictures_are_made_one_by_one_with_less_memory_when_it_runs_out(painter: Painter) -> None:
    full = Full(painter.pipe)
    results = out_of_memory(painter, full, [request("a cat", 1), request("a dog", 2)])
    assert all(isinstance(result, ImagineResult) for result in results)
    assert full.asked == [2, 1, 1, 1]


def test_who_asks_for_what_never_fits_reads_what_to_try(painter: Painter) -> None:
    full = Full(painter.pipe, ever=False)
    several, one = out_of_memory(painter, full, [request("a cat", 1, count=2), request("a dog", 2)])
    assert str(several.error) == "There isn't enough memory for 2 pictures at once. Try one."
    assert "Try another model" in str(one.error), "this one makes 64x64 pixels and nothing else"


def test_a_smaller_size_is_named(painter: Painter) -> None:
    meta = {"defaults": {"width": 1024, "height": 768}}
    painter.planner = Planner(painter.family, meta, shown="emoji", multiple=8)
    pipeline = ImaginePipeline(ImagineSettings())
    too_large = pipeline.too_large(request("a cat", 1), lambda _: painter)
    assert str(too_large).endswith("Try 712x536.")
    painter._fitted = {(512, 512), (768, 768)}
    assert str(pipeline.too_large(request("a cat", 1), lambda _: painter)).endswith("Try 768x768.")
