"""Tell about torchvision's models and their weights by what its source says."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bot.hub.access import model_unavailable
from bot.hub.libraries.source import package_source, parsed
from bot.hub.model_filter import ModelFilter
from bot.hub.reference import ModelReference

_TAGS = {"models": "image-classification", "detection": "object-detection"}
"""What the Hub calls the task of the models in a folder of torchvision's."""


@dataclass(frozen=True, slots=True)
class BuilderFacts:
    """Name a builder and its weights, and where they are kept. `tag` is what the Hub calls the task."""

    builder: str
    weights: str
    tag: str
    url: str
    meta: Mapping[str, Any]

    @property
    def file(self) -> Path:
        """Return where torch keeps, or will keep, the file of the weights."""
        return torch_hub_folder() / "checkpoints" / self.url.rpartition("/")[2]

    def trouble(self, model_filter: ModelFilter) -> str:
        """Say why a task has no use for it; nothing when it has."""
        fits = model_filter.pipeline_tag in ("", self.tag)
        return "" if fits else f"It is for {self.tag}, but the command takes {model_filter.description}."


def torch_hub_folder() -> Path:
    """Return where torch keeps what it fetches."""
    caches = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return Path(os.environ.get("TORCH_HOME", caches)).expanduser() / "hub"


def builder_facts(reference: ModelReference) -> BuilderFacts:
    """Return what `resnet50` or `ResNet50_Weights.IMAGENET1K_V2` means; raise ModelUnavailable for what isn't there."""
    name, _, weights = reference.name.partition(".")
    builder = name.removesuffix("_Weights").lower()
    tag, body = _weights_classes().get(builder, ("", {}))
    value = body.get(weights or "DEFAULT")
    if isinstance(value, ast.Name):  # DEFAULT = IMAGENET1K_V2
        weights, value = value.id, body.get(value.id)
    if not isinstance(value, ast.Call) or tag not in _TAGS.values():
        raise model_unavailable(reference, "torchvision has no classification or detection model of this name.")
    given = {keyword.arg: keyword.value for keyword in value.keywords}
    return BuilderFacts(builder, weights, tag, _constant(given["url"]), dict(_entries(given["meta"])))


@lru_cache
def _weights_classes() -> dict[str, tuple[str, dict[str, ast.expr]]]:
    """Return by builder the task and the members of each class `BUILDER_Weights` in torchvision."""
    return {
        node.name.removesuffix("_Weights").lower(): (_TAGS.get(file.parent.name, ""), _members(node))
        for file in (package_source("torchvision") / "models").rglob("*.py")
        for node in parsed(file).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("_Weights")
    }


def _members(node: ast.ClassDef) -> dict[str, ast.expr]:
    assigned = (line for line in node.body if isinstance(line, ast.Assign))
    return {target.id: line.value for line in assigned for target in line.targets if isinstance(target, ast.Name)}


def _entries(node: ast.expr) -> Iterator[tuple[str, Any]]:
    """Yield the plain values of a dictionary."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(value, ast.Constant):
                yield str(key.value), value.value


def _constant(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""
