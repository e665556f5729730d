"""Say what models a task can use, decided from a model's own configuration before its weights are fetched."""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from bot.hub.access import unavailable
from bot.hub.reference import FORMS, ModelReference

FOLDERS = frozenset({"hf", "path", "bundled"})
"""The forms of reference that lead to a folder in hub format."""


@dataclass(frozen=True, slots=True)
class Accepts:
    """Name the models of a task: `what` for people, `fits` by the name of an architecture or of a pipeline's class.

    `forms` are the forms of reference that may name one; those without a folder have no architecture to look at.
    `tag` is what the Hub calls the task. It is pickled for the process that fetches, so `fits` is no lambda.
    """

    what: str
    fits: Callable[[str], object]
    forms: Container[str] = FOLDERS
    tag: str = ""

    def check(self, reference: ModelReference, config: Mapping[str, Any]) -> None:
        """Raise ModelUnavailable for a model that the task has no use for."""
        if reference.scheme not in self.forms:
            raise unavailable(reference, f"The command takes {self.what}.")
        kinds = architectures(config)
        if reference.scheme in FOLDERS and not any(map(self.fits, kinds or [""])):
            found = " and ".join(kinds) or "a model of an unknown kind"
            raise unavailable(reference, f"It is {found}, but the command takes {self.what}.")


def architectures(config: Mapping[str, Any]) -> list[str]:
    """Return what kinds of model a config.json or model_index.json names."""
    named = config.get("_class_name") or config.get("architectures") or config.get("architecture")
    names = named if isinstance(named, list) else [named]
    return [name for name in names if isinstance(name, str)]


def _anything(_name: str) -> bool:
    return True


ANYTHING = Accepts("models of any kind", _anything, FORMS)
ADAPTERS = Accepts("LoRA adapters in safetensors form", operator.not_, frozenset({"hf", "path"}))
"""They have no configuration of a model beside them."""
