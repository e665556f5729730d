"""Compute in 8-bit integers on the CPU: replace the Linear layers and the convolutions of a model."""

from __future__ import annotations

from typing import Any

from bot.cpu.int8_conv import int8_conv
from bot.cpu.int8_linear import int8_linear
from bot.cpu.layers import Make, multiplies_bytes, with_layers


def quantised(model: Any) -> Any:
    """Return a copy of a model that multiplies in 8 bits; it shares all other weights with the original."""
    import torch

    makers: dict[type, Make] = {torch.nn.Linear: int8_linear()}
    if multiplies_bytes():
        makers[torch.nn.Conv2d] = int8_conv
    return with_layers(model, makers)
