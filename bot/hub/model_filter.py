"""Say what models a task can use, decided from a model's own configuration before its weights are fetched."""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from bot.hub.access import model_unavailable
from bot.hub.reference import FORMS, ModelReference

FOLDERS = frozenset({"hf", "path", "bundled"})
"""The forms of reference that lead to a folder in hub format."""


@dataclass(frozen=True, slots=True)
class ModelFilter:
    """Describe the models that a task can use.

    `description` is for people. `matches` takes the name of an architecture, or of a diffusers pipeline's class.
    `forms` are the forms of reference that may name one; those without a folder have no architecture to look at.
    `pipeline_tag` is what the Hub calls the task. It is pickled for the process that fetches, so `matches` is no
    lambda.
    """

    description: str
    matches: Callable[[str], object]
    forms: Container[str] = FOLDERS
    pipeline_tag: str = ""

    def check(self, reference: ModelReference, config: Mapping[str, Any]) -> None:
        """Raise ModelUnavailable for a model that the task has no use for."""
        if reference.scheme not in self.forms:
            raise model_unavailable(reference, f"The command takes {self.description}.")
        kinds = architectures(config)
        if reference.scheme in FOLDERS and not any(map(self.matches, kinds or [""])):
            found = " and ".join(kinds) or "a model of an unknown kind"
            raise model_unavailable(reference, f"It is {found}, but the command takes {self.description}.")


def architectures(config: Mapping[str, Any]) -> list[str]:
    """Return what kinds of model a config.json or model_index.json names."""
    named = config.get("_class_name") or config.get("architectures") or config.get("architecture")
    names = named if isinstance(named, list) else [named]
    return [name for name in names if isinstance(name, str)]


def _anything(_name: str) -> bool:
    return True


ANYTHING = ModelFilter("models of any kind", _anything, FORMS)
ADAPTERS = ModelFilter("LoRA adapters in safetensors form", operator.not_, frozenset({"hf", "path"}))
"""They have no configuration of a model beside them."""
