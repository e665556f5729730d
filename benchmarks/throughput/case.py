"""Say what is measured: a model and what it is asked, the same for every engine."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Classify = Callable[[Sequence[str]], Sequence[Any]]
_PIPELINES = {"sentiment": "text-classification", "classify": "image-classification"}


@dataclass(frozen=True)
class Case:
    """Hold the `task`, its model's `folder`, and the items: texts, or JPEG files in base64 as HTTP takes them."""

    name: str
    task: str
    folder: Path
    items: Sequence[str]
    threads: int

    @property
    def warm_up(self) -> Sequence[str]:
        """Return the items that are asked before the clock starts."""
        return self.items[:8]


def load_offline(task: str, folder: Path, threads: int, batch_size: int) -> Classify:
    """Return transformers' own pipeline, which every engine but hubcord serves."""
    import torch
    from transformers import pipeline

    torch.set_num_threads(threads)
    run = pipeline(_PIPELINES[task], model=str(folder), device="cpu")
    if task == "classify":
        return lambda items: run([_picture(item) for item in items], batch_size=batch_size)
    return lambda items: run(list(items), batch_size=batch_size, truncation=True)


def _picture(item: str) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(item))).convert("RGB")
