"""Load torchvision's own models, by builder or by weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.hub.libraries.builder_facts import builder_facts
from bot.hub.reference import ModelReference


def load_builder(reference: ModelReference) -> tuple[Any, Callable[[Any], Any], list[str], str]:
    """Return a model, the preprocessing and the categories of its weights, and the name that people see."""
    from torchvision import models

    facts = builder_facts(reference)
    weights: Any = models.get_model_weights(facts.builder)[facts.weights]
    model = models.get_model(facts.builder, weights=weights, progress=False)
    return model, weights.transforms(), list(weights.meta["categories"]), f"{facts.builder}@{weights.name}"
