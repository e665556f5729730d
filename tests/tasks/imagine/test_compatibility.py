"""Test what is told of schedulers and adapters before a job is queued, from files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.errors import BadInput, ModelUnavailable, UserError
from bot.tasks.imagine.schedulers import SCHEDULERS
from bot.tasks.imagine.task import ImagineSettings
from tests.models.bare_pipelines import BARE, COMMIT, bare_adapter, bare_model, in_cache

SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
SD1 = "stable-diffusion-v1-5/stable-diffusion-v1-5"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def models(tmp_path: Path) -> dict[str, str]:
    """Write one model of each family; return their references."""
    return {name: f"path:{make(tmp_path / name)}" for name, make in BARE.items()}


def _settings(models: list[str], **options: Any) -> ImagineSettings:
    return ImagineSettings.model_validate_json(json.dumps({"models": models, **options}))


def _of_card(models: dict[str, str], folder: Path, card: str | None) -> list[str]:
    """Return the names of the models that an adapter with this card is offered for."""
    lora = {"name": "style", "model": bare_adapter(folder / "loras", card)}
    offered = _settings([*models.values()], loras=[lora]).models_of_adapters()["style"]
    return [name for name, reference in models.items() if reference in offered]


ALL = ["sd", "sd2", "sdxl", "lcm", "flux"]
"""pixart takes no adapters."""


@pytest.mark.parametrize(
    ("card", "offered"),
    [
        (f"---\nbase_model: {SDXL}\n---\n", ["sdxl"]),
        (f"---\r\nbase_model: {SD1}\r\n---\r\n", ["sd", "lcm"]),
        ("---\nbase_model: RunwayML/Stable-Diffusion-v1-5\n---\n", ["sd", "lcm"]),
        ("---\nbase_model: black-forest-labs/FLUX.1-dev\n---\n", ["flux"]),
        (f"---\nbase_model:\n- {SDXL}\n- {SD1}\n---\n", ["sd", "sdxl", "lcm"]),
        ("---\nbase_model: stabilityai/stable-diffusion-3-medium\n---\n", []),
        (f"---\nbase_model: [{SDXL}, someone/unknown]\n---\n", ALL),
        ("---\nbase_model: someone/unknown\n---\n", ALL),
        ("---\nbase_model: ../../etc\n---\n", ALL),
        ("---\nbase_model: 'a b\n---\n", ALL),
        ("---\nbase_model: [[]]\n---\n", ALL),
        ("---\nbase_model:\n---\n", ALL),
        ("---\nlicense: mit\n---\n", ALL),
        ("no data", ALL),
        (None, ALL),
    ],
)
def test_an_adapter_is_offered_for_the_family_that_its_card_names(
    models: dict[str, str], cache: Path, tmp_path: Path, card: str | None, offered: list[str]
) -> None:
    assert not cache.exists()
    assert _of_card(models, tmp_path, card) == offered


def test_the_base_model_is_looked_up_among_the_configured_models(cache: Path, tmp_path: Path) -> None:
    """Its own files count; one that isn't on this machine is for anything."""
    for name, width in (("org/wide", 320), ("org/narrow", 64)):
        bare_model(in_cache(cache, name), _class_name="UNet2DConditionModel", cross_attention_dim=width)
    merged = f"path:{bare_model(tmp_path / 'merged', _class_name='UNet2DConditionModel', cross_attention_dim=320)}"
    models = [f"hf:org/wide@{COMMIT}", f"hf:org/narrow@{COMMIT}", merged, f"hf:{SDXL}@{COMMIT}", "hf:org/unknown"]
    card = in_cache(cache, "org/styles") / "README.md"
    card.parent.mkdir(parents=True)
    card.write_text("---\nbase_model: Org/Wide\n---\n", encoding="utf-8")
    lora = {"name": "style", "model": f"hf:org/styles@{COMMIT}#style.safetensors"}
    settings = _settings(models, loras=[lora, {"name": "absent", "model": "hf:org/absent"}])
    offered = settings.models_of_adapters()
    assert offered["style"] == [models[0], merged, "hf:org/unknown"]
    assert offered["absent"] == models
    request = settings.request("a cat", model=f"hf:{SDXL}@{COMMIT}", lora=["style"])
    with pytest.raises(ModelUnavailable, match=f"The adapter “style” doesn't fit {SDXL}@0123456."):
        settings.check_fit(request)


def test_what_the_host_says_counts_alone(models: dict[str, str], tmp_path: Path) -> None:
    model = bare_adapter(tmp_path / "loras", f"---\nbase_model: {SDXL}\n---\n")
    settings = _settings([*models.values()], loras=[{"name": "style", "model": model, "for": ["sd", "flux"]}])
    assert settings.models_of_adapters() == {"style": [models["sd"], models["flux"]]}
    settings.check_fit(settings.request("a cat", model=models["sd"], lora=["style"]))


@pytest.mark.parametrize(
    ("model", "offered"),
    [
        ("sd", SCHEDULERS),
        ("sdxl", SCHEDULERS),
        ("pixart", SCHEDULERS),
        ("lcm", ("LCM",)),
        ("flux", ("Euler",)),
        ("bundled:nothing", SCHEDULERS),
        ("hf:org/absent", SCHEDULERS),
        ("path:absent", SCHEDULERS),
    ],
)
def test_schedulers_are_offered_that_fit(
    models: dict[str, str], cache: Path, model: str, offered: tuple[str, ...]
) -> None:
    assert not cache.exists()
    reference = models.get(model, model)
    assert tuple(_settings([reference]).schedulers(reference)) == offered


@pytest.mark.parametrize(
    ("config", "offered"),
    [({"prediction_type": "flow_prediction"}, ("DPM++ 2M", "DPM++ SDE", "UniPC", "DEIS")), ({}, SCHEDULERS)],
)
def test_a_model_that_was_trained_on_a_flow(tmp_path: Path, config: dict[str, Any], offered: tuple[str, ...]) -> None:
    folder = bare_model(tmp_path / "flow", "SanaPipeline", "DPMSolverMultistepScheduler", core="transformer")
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config), encoding="utf-8")
    assert tuple(_settings([f"path:{folder}"]).schedulers(f"path:{folder}")) == offered


@pytest.mark.parametrize(
    ("model", "options", "kind", "sentence"),
    [
        (
            "lcm",
            {"scheduler": "ddim"},
            BadInput,
            "lcm can't work with the scheduler DDIM. Choose one of these, or none",
        ),
        ("flux", {"scheduler": "DPM++ 2M"}, BadInput, "flux can't work with the scheduler DPM++ 2M. Choose one of"),
        ("pixart", {"lora": ["style"]}, BadInput, "pixart takes no adapters. Leave “style” out."),
        ("sd", {"lora": ["style"]}, ModelUnavailable, "The adapter “style” doesn't fit sd. Choose another adapter or"),
    ],
)
def test_what_is_known_not_to_fit_is_refused(
    models: dict[str, str], tmp_path: Path, model: str, options: dict[str, Any], kind: type[UserError], sentence: str
) -> None:
    lora = {"name": "style", "model": bare_adapter(tmp_path / "loras", f"---\nbase_model: {SDXL}\n---\n")}
    settings = _settings([*models.values()], loras=[lora])
    with pytest.raises(kind) as error:
        settings.check_fit(settings.request("a cat", model=models[model], **options))
    assert str(error.value).startswith(sentence)


def test_the_hosts_own_scheduler_is_checked_too(models: dict[str, str]) -> None:
    settings = _settings([models["flux"]], defaults=[{"model": "flux", "scheduler": "DDIM"}])
    with pytest.raises(BadInput, match="flux can't work with the scheduler DDIM"):
        settings.check_fit(settings.request("a cat", model=models["flux"]))
    settings.check_fit(settings.request("a cat", model=models["flux"], scheduler="Euler"))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model_index.json", "{half"),
        ("model_index.json", "[1]"),
        ("model_index.json", "{}"),
        ("model_index.json", '{"_class_name": ["FluxPipeline"], "scheduler": "x"}'),
        ("model_index.json", '{"_class_name": "FluxPipeline", "scheduler": [null, null]}'),
        ("model_index.json", '{"_class_name": "CLIPTextModel", "scheduler": ["diffusers", "DDIMScheduler"]}'),
        ("scheduler/scheduler_config.json", "[1]"),
        ("unet/config.json", "{half"),
        ("hubcord.json", "[1]"),
    ],
)
def test_damaged_files_are_left_to_the_worker(tmp_path: Path, file: str, content: str) -> None:
    folder = BARE["sd"](tmp_path / "sd")
    (folder / file).write_text(content, encoding="utf-8")
    lora = {"name": "style", "model": bare_adapter(tmp_path / "loras")}
    settings = _settings([f"path:{folder}"], loras=[lora])
    assert tuple(settings.schedulers(f"path:{folder}")) == SCHEDULERS
    assert [found.name for found in settings.loras_for(f"path:{folder}")] == ["style"]
    settings.check_fit(settings.request("a cat", model=f"path:{folder}", lora=["style"], scheduler="DDIM"))


def test_a_damaged_base_model_or_card_tells_nothing(cache: Path, tmp_path: Path) -> None:
    base = bare_model(in_cache(cache, "org/base"), _class_name="UNet2DConditionModel", cross_attention_dim=320)
    (base / "unet" / "config.json").write_text("{half", encoding="utf-8")
    models = [f"path:{BARE['sd'](tmp_path / 'sd')}", f"hf:org/base@{COMMIT}"]
    unreadable = bare_adapter(tmp_path / "unreadable")
    (tmp_path / "unreadable" / "README.md").symlink_to("README.md")
    loras = [
        {"name": "style", "model": bare_adapter(tmp_path / "loras", "---\nbase_model: org/base\n---")},
        {"name": "odd", "model": unreadable},
    ]
    settings = _settings(models, loras=loras)
    assert settings.models_of_adapters() == {"style": models, "odd": models}
    settings.check_fit(settings.request("a cat", model=models[0], lora=["style", "odd"]))
