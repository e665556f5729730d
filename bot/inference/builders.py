"""Find and load torchvision's own models, by builder or by weights."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Literal, get_args

from bot.inference.access import unavailable
from bot.inference.reference import ModelReference

Kind = Literal["classification", "detection"]
_KINDS: tuple[Kind, ...] = get_args(Kind)


def find_builder(reference: ModelReference, kinds: Collection[Kind] = _KINDS) -> tuple[str, Any]:
    """Return the builder and weights that `resnet50` or `ResNet50_Weights.IMAGENET1K_V2` means.

    Raise ModelUnavailable when torchvision has none of these kinds.
    """
    from torchvision import models

    name = reference.name
    try:
        weights = models.get_weight(name) if "." in name else models.get_model_weights(name).DEFAULT
    except (KeyError, ValueError, AttributeError):
        weights = None
    builder = type(weights).__name__.removesuffix("_Weights").lower() if "." in name else name
    modules = {"classification": models, "detection": models.detection}
    if weights is None or not any(builder in models.list_models(module=modules[kind]) for kind in kinds):
        raise unavailable(reference, f"torchvision has no {' or '.join(kinds)} model of this name.")
    return builder, weights


def load_builder(reference: ModelReference, kind: Kind) -> tuple[Any, Callable[[Any], Any], list[str], str]:
    """Return a model of a kind, the preprocessing and the categories of its weights, and the name that people see."""
    from torchvision import models

    builder, weights = find_builder(reference, [kind])
    model = models.get_model(builder, weights=weights, progress=False)
    return model, weights.transforms(), list(weights.meta["categories"]), f"{builder}@{weights.name}"
