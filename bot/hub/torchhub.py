"""Load image classifiers from PyTorch Hub: repositories whose own code runs here, so the host must trust each."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

from filelock import FileLock

from bot.errors import one_line
from bot.hub.access import model_unavailable
from bot.hub.reference import ModelReference

_COMMIT = re.compile(r"[0-9a-f]{40}")


def check_trusted(reference: ModelReference, trusted: Container[str]) -> None:
    """Raise ModelUnavailable for a repository that the host doesn't trust."""
    if reference.scheme == "torchhub" and reference.name not in trusted:
        raise model_unavailable(
            reference,
            "Its code would run here, and it isn't trusted. 1. Read its code. "
            f'2. If you trust it, add "{reference.name}" to trusted_torchhub in [hub].',
        )


def load_hub_classifier(reference: ModelReference) -> tuple[Any, Callable[[Any], Any], list[str]]:
    """Return a classifier of a trusted repository, its preprocessing and its labels; raise ModelUnavailable.

    Pictures are prepared as PyTorch Hub's ResNet-50 wants it: the short side 256 pixels, the middle 224 by 224,
    ImageNet's mean and deviation.
    """
    from torchvision.models import ResNet50_Weights

    preprocess = ResNet50_Weights.IMAGENET1K_V1.transforms()
    try:
        model = _load(reference)
        count = _count_labels(model)
    except Exception as error:
        raise model_unavailable(reference, f"It can't be loaded ({one_line(error)}).") from error
    return model, preprocess, _labels(count)


def pinned(reference: ModelReference) -> str:
    """Return what names a tag or a commit to GitHub, and no branch: those move."""
    revision = str(reference.revision)
    return revision if _COMMIT.fullmatch(revision) else f"refs/tags/{revision}"


def _load(reference: ModelReference) -> Any:
    """Load an entry with trained weights; only one process at a time, since torch.hub unpacks in place."""
    import torch

    folder = Path(torch.hub.get_dir())
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "hubcord.lock"), contextlib.redirect_stdout(sys.stderr):  # where it tells what it fetches
        load: Any = torch.hub.load
        return load(
            f"{reference.name}:{pinned(reference)}",
            str(reference.entry),
            trust_repo=True,
            skip_validation=True,  # that a branch's name isn't a fork's: this is no branch
            verbose=False,
            pretrained=True,
        ).eval()


def _count_labels(model: Any) -> int:
    import torch

    with torch.inference_mode():
        logits = model(torch.zeros(1, 3, 224, 224))
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
        raise TypeError("it is no image classifier")
    return int(logits.shape[1])


def _labels(count: int) -> list[str]:
    """Return ImageNet's labels for as many as it has, else numbers."""
    from torchvision.models import ResNet50_Weights

    names: list[str] = ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
    return list(names) if count == len(names) else [f"class {number}" for number in range(count)]
