"""Make representative inputs, to measure models with."""

from __future__ import annotations

import random
from typing import Any

SENTENCES = (
    "gg",
    "Thank you so much!",
    "I hate mondays, they never end.",
    "The meeting starts at three.",
    "Where did everybody go after the game?",
    "This update is great, everything feels so much faster now.",
    "What a waste of money. I want those two hours of my life back.",
    "Could somebody please look at the server? It has crashed again since yesterday.",
    "I have two cats and a dog, and all of them sleep on the sofa whenever I want to sit there.",
    "Nice picture! The colours are beautiful, only the hands look a bit strange to me, as if there were six fingers.",
)
_SIDE, _COARSE_SIDE = 256, 8


def pictures(count: int = 4) -> list[Any]:
    """Return PIL images of soft coloured patches, always the same ones."""
    from PIL import Image

    chooser = random.Random(0)  # noqa: S311 - no secret
    size = (_COARSE_SIDE, _COARSE_SIDE)
    coarse = [Image.frombytes("RGB", size, chooser.randbytes(3 * _COARSE_SIDE**2)) for _ in range(count)]
    return [image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC) for image in coarse]
