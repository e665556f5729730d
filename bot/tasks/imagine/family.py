"""Tell from a pipeline's class and small files, before any weights, what it takes and what suits it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.hub.json_files import read_json
from bot.hub.libraries.class_names import mapped_classes
from bot.tasks.imagine.image_sizes import denoiser_config, native_side

_STEPS = 50
_FEW_STEPS = 4
_LCM_GUIDANCE = 8.0
_NO_GUIDANCE = 1.0
_FOR_FEW_STEPS = ("LCMScheduler", "TCDScheduler")
_SCALES = ("guidance_scale", "true_cfg_scale", "prior_guidance_scale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Hold what one kind of pipeline takes, and its defaults; sizes in pixels.

    `options` are the names of its arguments, `scale` the one for guidance, if it has any effect.
    """

    options: frozenset[str]
    scale: str | None
    takes_negative: bool
    steps: int
    guidance: float
    width: int
    height: int


def is_text_to_image(pipeline: str) -> bool:
    """Say whether diffusers' AutoPipelineForText2Image loads pipelines of this class."""
    return pipeline in mapped_classes("diffusers", "pipelines/auto_pipeline.py", "AUTO_TEXT2IMAGE_PIPELINES_MAPPING")


def read_family(folder: Path) -> Family:
    """Read what kind of pipeline is in a folder in hub format. No weights are needed."""
    import diffusers

    index = read_json(folder / "model_index.json")
    options = inspect.signature(getattr(diffusers, index["_class_name"]).__call__).parameters
    defaults = {name: option.default for name, option in options.items()}
    core = denoiser_config(folder)
    scale = _scale(defaults, core)
    steps, guidance = _distilled(index, core, folder) or (None, None)
    side = native_side(folder)
    return Family(
        options=frozenset(options),
        scale=scale,
        takes_negative=_takes_negative(defaults, core, scale),
        steps=steps or _number(defaults, "num_inference_steps", _STEPS),
        guidance=_number(defaults, scale or "", _NO_GUIDANCE) if guidance is None else guidance,
        width=_number(defaults, "width", side),
        height=_number(defaults, "height", side),
    )


def _scale(defaults: Mapping[str, Any], core: Mapping[str, Any]) -> str | None:
    """Return the argument that guides: `guidance_scale`, unless that is only there for models that don't exist yet."""
    if _is_unguided_flux(core):
        return None
    return next((name for name in _SCALES if defaults.get(name) is not None), None)


def _takes_negative(defaults: Mapping[str, Any], core: Mapping[str, Any], scale: str | None) -> bool:
    """Say whether a negative prompt has an effect: not where guidance was distilled into the model (LCM, FLUX)."""
    distilled = core.get("time_cond_proj_dim") or (scale != "true_cfg_scale" and "true_cfg_scale" in defaults)
    return "negative_prompt" in defaults and scale is not None and not distilled


def _distilled(index: Mapping[str, Any], core: Mapping[str, Any], folder: Path) -> tuple[int, float] | None:
    """Return steps and guidance of models for few steps, as their cards say; None for others.

    latent-consistency/lcm-sdxl, latent-consistency/lcm-lora-sdv1-5, black-forest-labs/FLUX.1-schnell and FLUX.2-klein.
    """
    if core.get("time_cond_proj_dim"):
        return _FEW_STEPS, _LCM_GUIDANCE
    few = read_json(folder / "scheduler" / "scheduler_config.json").get("_class_name") in _FOR_FEW_STEPS
    if few or _is_unguided_flux(core) or index.get("is_distilled"):
        return _FEW_STEPS, _NO_GUIDANCE
    return None


def _is_unguided_flux(core: Mapping[str, Any]) -> bool:
    return core.get("_class_name") == "FluxTransformer2DModel" and not core.get("guidance_embeds")


def _number(defaults: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    value = defaults.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
