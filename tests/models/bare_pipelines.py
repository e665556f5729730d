"""Write what tells about text-to-image models and adapters: configurations and cards, no weights."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

COMMIT = "0123456789" * 4


def bare_model(
    folder: Path, pipeline: str = "StableDiffusionPipeline", scheduler: str = "PNDMScheduler", *, core: str = "unet",
    **config: Any,
) -> Path:  # fmt: skip
    """Write a pipeline's configuration, and that of its UNet or transformer."""
    index = {"_class_name": pipeline, "scheduler": ["diffusers", scheduler], core: ["diffusers", "X"]}
    files = {"model_index.json": index, f"{core}/config.json": config, "scheduler/scheduler_config.json": {}}
    for path, values in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(values), encoding="utf-8")
    return folder


def _unet(width: int) -> dict[str, Any]:
    return {"_class_name": "UNet2DConditionModel", "cross_attention_dim": width}


BARE: Mapping[str, Callable[[Path], Path]] = {
    "sd": partial(bare_model, **_unet(768)),
    "sd2": partial(bare_model, **_unet(1024)),
    "sdxl": partial(
        bare_model, pipeline="StableDiffusionXLPipeline", scheduler="EulerDiscreteScheduler", **_unet(2048)
    ),
    "lcm": partial(bare_model, pipeline="LatentConsistencyModelPipeline", scheduler="LCMScheduler", **_unet(768)),
    "flux": partial(
        bare_model, pipeline="FluxPipeline", scheduler="FlowMatchEulerDiscreteScheduler", core="transformer",
        _class_name="FluxTransformer2DModel", joint_attention_dim=4096,
    ),
    "pixart": partial(
        bare_model, pipeline="PixArtSigmaPipeline", scheduler="DPMSolverMultistepScheduler", core="transformer",
        _class_name="PixArtTransformer2DModel", cross_attention_dim=1152,
    ),
}  # fmt: skip


def bare_adapter(folder: Path, card: str | None = None) -> str:
    """Write an adapter's file, without a tensor, and its card where there is one; return its reference."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf-8")
    return f"path:{folder / 'a.safetensors'}"


def in_cache(cache: Path, name: str) -> Path:
    """Return the folder of a repository's commit in the Hub's cache."""
    return cache / f"models--{name.replace('/', '--')}" / "snapshots" / COMMIT
