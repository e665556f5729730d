"""Lay out the weights of Linear layers once as oneDNN's matrix product reads them, instead of at every call.

torch multiplies in fp32 on the CPU with another library, which is a tenth slower for many rows and up to six times for
few (docs/performance.md). The products are the same but for the order of the additions.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from bot.cpu.layers import has_onednn, with_layers

_SMALLEST_WEIGHT = 1 << 16
"""In numbers: what a call costs besides its product isn't worth it below (384 by 384 gains from two rows on)."""


def packed(model: Any) -> Any:
    """Return a copy of a model on the CPU that shares all weights but those of its packed layers with the original.

    Elsewhere than on x86-64, where nothing was measured, it is the model itself.
    """
    import torch

    return with_layers(model, {torch.nn.Linear: _packed}) if has_onednn() else model


def _packed(linear: Any) -> Any:
    return linear if linear.weight.numel() < _SMALLEST_WEIGHT else packed_linear()(linear)


@cache
def packed_linear() -> type[Any]:
    """Return the class of the layer; torch is imported only now."""
    import torch

    operations = torch.ops.mkldnn  # what torch.compile calls, too; torch has no public name for it

    class PackedLinear(torch.nn.Module):
        """Compute what a Linear layer does: rows (..., in) to (..., out)."""

        weight: torch.Tensor
        bias: torch.Tensor | None

        def __init__(self, linear: torch.nn.Linear) -> None:
            super().__init__()
            weight = linear.weight.detach()
            self.register_buffer("weight", operations._reorder_linear_weight(weight, None))  # noqa: SLF001
            self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = operations._linear_pointwise(  # noqa: SLF001
                inputs, self.weight, self.bias, "none", [], ""
            )
            return result

    return PackedLinear
