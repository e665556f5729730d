"""Test LoRA adapters on tiny pipelines: what they change, that they leave nothing behind, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.errors import BadInput, ModelUnavailable
from bot.tasks.base import Failure
from bot.tasks.imagine.loras import Lora
from bot.tasks.imagine.task import ImagineSettings
from tests.models.tiny_pipelines import tiny_flux, tiny_lora, tiny_pixart, tiny_sd, tiny_sd3, tiny_sdxl
from tests.tasks.imagine.painting import Studio, parameters, pixels

pytestmark = pytest.mark.filterwarnings("ignore")  # what libraries say of their own next versions
MODELS = {"sd": tiny_sd, "sdxl": tiny_sdxl, "sd3": tiny_sd3, "flux": tiny_flux, "pixart": tiny_pixart}
WITH_ADAPTERS = ("sd", "sdxl", "sd3", "flux")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model of each family, and an adapter for each; two more for the first."""
    folder = tmp_path_factory.mktemp("adapters")
    for name, make in MODELS.items():
        make(folder / name)
    for name in WITH_ADAPTERS:
        tiny_lora(folder / f"for-{name}.safetensors", folder / name)
    tiny_lora(folder / "second.safetensors", folder / "sd", seed=1)
    (folder / "damaged.safetensors").write_bytes(b"half of what it was")
    _foreign(folder / "foreign.safetensors")
    return folder


def _foreign(file: Path) -> None:
    """Write an adapter for a second text encoder alone, which most models don't have."""
    import torch
    from safetensors.torch import save_file

    layer = "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj"
    save_file({f"{layer}.lora_{side}.weight": torch.ones(2, 2) for side in "AB"}, file)


@pytest.fixture(scope="module")
def studio(folder: Path) -> Studio:
    loras: list[dict[str, Any]] = [
        {"name": name, "model": f"path:{folder / name}.safetensors"}
        for name in (*(f"for-{family}" for family in WITH_ADAPTERS), "damaged", "foreign", "missing")
    ]
    second = f"path:{folder / 'second.safetensors'}"
    loras.append({"name": "Second", "model": second, "weight": 0.5, "words": "pixel art"})
    loras.append({"name": "bound", "model": second, "for": ["sdxl"]})
    values = {"models": [f"path:{folder / name}" for name in MODELS], "loras": loras}
    return Studio(ImagineSettings.model_validate_json(json.dumps(values)))


@pytest.mark.parametrize("family", WITH_ADAPTERS)
def test_an_adapter_changes_the_picture_and_leaves_nothing_behind(studio: Studio, folder: Path, family: str) -> None:
    options: dict[str, Any] = {"model": f"path:{folder / family}", "size": "64x64"}
    before = studio.paint(**options)
    changed = studio.paint(f"a cat <lora:for-{family}:0.8>", **options)
    again = studio.paint(**options)
    assert pixels(changed) != pixels(before)
    assert pixels(again) == pixels(before)
    assert (changed.prompt, changed.loras) == ("a cat", (Lora(name=f"for-{family}", weight=0.8),))
    assert again.loras == ()


def test_weights_count_and_nought_does_nothing(studio: Studio) -> None:
    plain, none, weak, strong = (studio.paint(lora=lora) for lora in ([], ["for-sd:0"], ["for-sd:0.3"], ["for-sd"]))
    assert pixels(plain) == pixels(none)
    assert len({pixels(none), pixels(weak), pixels(strong)}) == 3
    assert pixels(studio.paint(lora=["for-sd:0.3"])) == pixels(weak)


def test_several_at_once_in_any_order(studio: Studio) -> None:
    both = studio.paint("a cat <lora:second> <LORA:for-sd:0.5>")
    turned = studio.paint(lora=["FOR-SD:0.5", "second"])
    assert pixels(both) == pixels(turned)
    assert list(map(str, both.loras)) == ["Second:0.5", "for-sd:0.5"]
    assert pixels(both) != pixels(studio.paint(lora=["for-sd:0.5"]))
    written, for_others = parameters(both)
    assert written["loras"] == [{"name": "Second", "weight": 0.5}, {"name": "for-sd", "weight": 0.5}]
    assert for_others.startswith("a cat, pixel art <lora:Second:0.5> <lora:for-sd:0.5>\n")


def test_the_model_hears_the_adapters_words_once(studio: Studio) -> None:
    said = studio.paint("a cat, Pixel Art", lora=["second"])
    assert parameters(said)[0]["prompt"] == "a cat, Pixel Art"


def test_jobs_with_other_adapters_are_no_batch(studio: Studio) -> None:
    plain, weak, strong = (studio.request(lora=lora) for lora in ([], ["for-sd:0.3"], ["for-sd"]))
    assert len({plain.batch_key, weak.batch_key, strong.batch_key, studio.request(scheduler="DDIM").batch_key}) == 4
    assert weak.batch_key == studio.request("a dog <lora:for-sd:0.3>", seed=5).batch_key


@pytest.mark.parametrize("name", ["for-sdxl", "for-flux", "damaged", "foreign"])
def test_what_does_not_fit_is_refused_and_harms_nobody(studio: Studio, name: str) -> None:
    before = studio.paint()
    with_other = studio.paint(lora=["for-sd"])
    error = studio.refusal(lora=["for-sd", name])
    assert str(studio.refusal(lora=["for-sd", name])) == str(error)
    assert isinstance(error, ModelUnavailable)
    assert str(error) == f"The adapter “{name}” doesn't fit sd. Choose another adapter or another model."
    assert error.values["hint"].startswith(f"{name}.safetensors: ")
    assert pixels(studio.paint()) == pixels(before)
    assert pixels(studio.paint(lora=["for-sd"])) == pixels(with_other)


def test_an_adapter_that_is_not_there(studio: Studio, folder: Path) -> None:
    error = studio.refusal(lora=["missing"])
    assert str(error) == "This adapter isn't available on this server yet."
    assert str(error.values["hint"]).startswith(f"path:{folder}/missing.safetensors: ")  # type: ignore[attr-defined]


def test_a_family_without_adapters(studio: Studio, folder: Path) -> None:
    error = studio.refusal(model=f"path:{folder / 'pixart'}", size="64x64", lora=["second"])
    assert str(error) == "pixart takes no adapters. Leave “Second” out."
    with pytest.raises(BadInput, match=str(error)):  # before the job is queued, too
        studio.settings.check_fit(studio.request(model=f"path:{folder / 'pixart'}", lora=["second"]))


def test_one_with_an_unfit_adapter_does_not_fail_the_others(studio: Studio) -> None:
    good, bad = studio.request(), studio.request(lora=["for-sdxl"])
    outcomes = [*studio.outcomes(good), *studio.outcomes(bad), *studio.outcomes(good)]
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, True, False]


@pytest.mark.parametrize(
    ("prompt", "lora", "sentence"),
    [
        ("a cat <lora:nothing:1>", [], "There is no adapter “nothing” here. Choose one of: for-sd, for-sdxl, "),
        ("a cat <lora:for-sd:3>", [], "“3” is no weight of an adapter. Use a number from -2 to 2, like 0.8."),
        ("a cat <lora:for-sd:much>", [], "“much” is no weight"),
        ("a cat <lora:for-sd:>", [], "“” is no weight"),
        ("a cat", ["for-sd:nan"], "“nan” is no weight"),
        ("<lora:for-sd:1>", [], "There is no prompt."),
        ("a cat", ["bound"], "The adapter “bound” is for other models: sdxl."),
        ("a cat", ["for-sd", "for-sdxl", "for-sd3", "for-flux", "second"], "Use at most 4 adapters at a time."),
    ],
)
def test_what_is_refused_before_it_is_queued(studio: Studio, prompt: str, lora: list[str], sentence: str) -> None:
    with pytest.raises(BadInput) as error:
        studio.settings.check(studio.request(prompt, lora=lora))
    assert str(error.value).startswith(sentence)


def test_no_adapters_at_all() -> None:
    with pytest.raises(BadInput, match="There are no adapters here"):
        ImagineSettings().request("a cat <lora:x:1>", model="bundled:emoji-sd")


def test_adapters_for_a_model(studio: Studio, folder: Path) -> None:
    assert "bound" not in [lora.name for lora in studio.settings.loras_for(f"path:{folder / 'sd'}")]
    assert "bound" in [lora.name for lora in studio.settings.loras_for(f"path:{folder / 'sdxl'}")]
