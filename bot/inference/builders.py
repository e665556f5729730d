"""Find and load torchvision's own image classifiers, by builder or by weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.inference.access import unavailable
from bot.inference.reference import ModelReference


def find_builder(reference: ModelReference) -> tuple[str, Any]:
    """Return the builder and weights that `resnet50` or `ResNet50_Weights.IMAGENET1K_V2` means.

    Raise ModelUnavailable when torchvision has none for classification.
    """
    from torchvision import models

    name = reference.name
    try:
        weights = models.get_weight(name) if "." in name else models.get_model_weights(name).DEFAULT
    except (KeyError, ValueError, AttributeError):
        weights = None
    builder = type(weights).__name__.removesuffix("_Weights").lower() if "." in name else name
    if weights is None or builder not in models.list_models(module=models):
        raise unavailable(reference, "torchvision has no classification model of this name.")
    return builder, weights


def load_builder(reference: ModelReference) -> tuple[Any, Callable[[Any], Any], list[str], str]:
    """Return a model, the preprocessing and the categories of its weights, and the name that people see."""
    from torchvision import models

    builder, weights = find_builder(reference)
    model = models.get_model(builder, weights=weights, progress=False)
    return model, weights.transforms(), list(weights.meta["categories"]), f"{builder}@{weights.name}"


def fetched_file(weights: Any) -> Path:
    """Return where torchvision keeps, or will keep, the file of its weights."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / str(weights.url).rpartition("/")[2]
