"""Test that pipelines of every family make pictures, with defaults, steps and schedulers of their own."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from bot.errors import BadInput, JobCancelled
from bot.store.codec import dump, load_result
from bot.tasks.base import Failure
from bot.tasks.imagine.family import read_family
from bot.tasks.imagine.schedulers import SCHEDULERS
from bot.tasks.imagine.task import ImagineResult, ImagineSettings
from tests.models.tiny_pipelines import FAMILIES, tiny_flux, tiny_sd
from tests.tasks.imagine.painting import Studio, parameters, pixels
from tests.workers.line import Line

pytestmark = pytest.mark.filterwarnings("ignore")  # what libraries say of their own next versions


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("families")
    return {name: make(folder / name) for name, make in FAMILIES.items()}


@pytest.fixture(scope="module")
def studio(folders: dict[str, Path]) -> Studio:
    return Studio(ImagineSettings(models=tuple(f"path:{folder}" for folder in folders.values())))


def settings_for(folder: Path, **defaults: Any) -> ImagineSettings:
    values = {"models": [f"path:{folder}"], "defaults": [{"model": folder.name, **defaults}]}
    return ImagineSettings.model_validate_json(json.dumps(values))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_makes_pictures_that_a_batch_does_not_change(
    family: str, folders: dict[str, Path], studio: Studio
) -> None:
    model = f"path:{folders[family]}"
    requests = [studio.request(text, model=model, seed=seed, size="64x64") for text, seed in (("a cat", 1), ("sea", 2))]
    line = Line()
    together = studio.outcomes(*requests, line=line)
    assert [line.steps[0], line.steps[-1]] == [(1, 2), (2, 2)]
    for request, result in zip(requests, together, strict=True):
        (alone,) = studio.outcomes(request)
        difference = [abs(one - other) for one, other in zip(pixels(result), pixels(alone), strict=True)]
        assert max(difference) <= 2
    assert pixels(together[0]) != pixels(together[1])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_lets_guests_in_after_each_step_and_stops_when_nobody_wants_its_picture(
    family: str, folders: dict[str, Path], studio: Studio
) -> None:
    line = Line(lambda: line.stopped.add("0") if len(line.steps) == 3 else None)
    request = studio.request(model=f"path:{folders[family]}", size="64x64", steps=8)
    (stopped,) = studio.outcomes(request, line=line)
    assert isinstance(stopped, Failure)
    assert isinstance(stopped.error, JobCancelled)
    assert len(line.steps) == 3


@pytest.mark.parametrize(
    ("family", "steps", "guidance", "size"),
    [
        ("sd", 50, 7.5, (64, 64)),
        ("lcm", 4, 8.0, (64, 64)),
        ("sdxl", 50, 5.0, (64, 64)),
        ("sd3", 28, 7.0, (64, 64)),
        ("flux", 28, 3.5, (1024, 1024)),
        ("pixart", 20, 4.5, (64, 64)),
    ],
)
def test_defaults_come_from_small_files_alone(
    folders: dict[str, Path], tmp_path: Path, family: str, steps: int, guidance: float, size: tuple[int, int]
) -> None:
    small = shutil.copytree(folders[family], tmp_path / "small", ignore=shutil.ignore_patterns("*.safetensors"))
    found = read_family(small)
    assert (found.steps, found.guidance, (found.width, found.height)) == (steps, guidance, size)


def test_models_for_few_steps_are_known_by_their_files(tmp_path: Path) -> None:
    schnell = read_family(tiny_flux(tmp_path / "schnell", guided=False))
    assert (schnell.steps, schnell.scale) == (4, None)
    merged = read_family(tiny_sd(tmp_path / "merged", scheduler="LCMScheduler"))
    assert (merged.steps, merged.guidance) == (4, 1.0)


def test_what_a_model_does_not_take_is_left_out_and_told(tmp_path: Path) -> None:
    folder = tiny_flux(tmp_path / "schnell", guided=False)
    result = Studio(settings_for(folder)).paint(size="64x64", guidance=7.0, negative="dogs")
    assert result.guidance is None
    assert result.note == (
        "This model takes no guidance, so it was left out. This model takes no negative prompt, so it was left out."
    )
    assert load_result(ImagineResult, dump(result)) == result
    assert "CFG scale" not in parameters(result)[1]


def test_a_negative_prompt_has_an_effect_only_with_guidance(studio: Studio) -> None:
    with_dogs, without = studio.paint(), studio.paint(negative="dogs")
    assert pixels(with_dogs) != pixels(without)
    assert without.note == ""
    unguided = studio.paint(negative="dogs", guidance=1.0)
    assert pixels(unguided) == pixels(studio.paint(guidance=1.0))
    assert unguided.note == "A negative prompt needs a guidance above 1, so it was left out."


def test_sizes_are_what_the_latents_allow(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["sd3"], tmp_path / "coarse")
    config = json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8"))
    assert config["patch_size"] == 2
    studio = Studio(settings_for(folder))
    studio.paint()
    painter = studio.models.peek(studio.settings.models[0])
    painter.planner._multiple = 48
    result = studio.paint(size="104x64")
    assert (result.width, result.height) == (96, 48)
    assert result.note == "The size is the nearest one that this model makes to 104×64."


def test_the_host_knows_better_and_the_member_best(folders: dict[str, Path]) -> None:
    studio = Studio(settings_for(folders["sd"], steps=1, guidance=0.0, size="72x64", scheduler="Euler a"))
    by_host = studio.paint(steps=None)
    assert (by_host.steps, by_host.guidance, by_host.width, by_host.height) == (1, 0.0, 72, 64)
    assert by_host.scheduler == "Euler a"
    by_member = studio.paint(steps=3, guidance=2.0, size="64x80", scheduler="ddim")
    assert (by_member.steps, by_member.guidance, by_member.width, by_member.height) == (3, 2.0, 64, 80)
    assert by_member.scheduler == "DDIM"


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_draws_and_the_own_one_comes_back(studio: Studio, name: str) -> None:
    before = studio.paint(steps=3)
    other = studio.paint(steps=3, scheduler=name)
    after = studio.paint(steps=3)
    assert before.scheduler == after.scheduler == "PNDM"
    assert other.scheduler == parameters(other)[0]["scheduler"] == name
    assert f"Sampler: {name}," in parameters(other)[1]
    assert pixels(before) == pixels(after)
    assert (pixels(other) == pixels(before)) == (name == "PNDM")
    assert studio.paint(steps=1, scheduler=name).steps == 1


@pytest.mark.parametrize(
    ("family", "name", "fitting"),
    [("flux", "DPM++ 2M Karras", "Euler."), ("sd3", "DDIM", "Euler."), ("lcm", "Euler a", "LCM.")],
)
def test_a_scheduler_that_does_not_fit_is_refused(
    folders: dict[str, Path], studio: Studio, family: str, name: str, fitting: str
) -> None:
    error = studio.refusal(model=f"path:{folders[family]}", scheduler=name, size="64x64")
    assert isinstance(error, BadInput)
    with pytest.raises(BadInput, match=re.escape(str(error))):  # before the job is queued, too
        studio.settings.check_fit(studio.request(model=f"path:{folders[family]}", scheduler=name))
    assert str(error) == f"{family} can't work with the scheduler {name}. Choose one of these, or none: {fitting}"
    assert studio.paint(model=f"path:{folders[family]}", scheduler=fitting[:-1], size="64x64").scheduler == fitting[:-1]
