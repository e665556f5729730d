"""Multiply in 8-bit integers on the CPU: replace the Linear layers and the convolutions of a model.

Weights are rounded once, with one scale for each output; inputs at every call, with one scale for each row. So a
text's answer doesn't depend on the texts that share its batch, and a few large values spoil only their own row.
torch's own dynamic quantisation has one scale for the whole batch: as fast, but it costs the bundled sentiment model
1.8 points (docs/performance.md).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from bot.inference.precision.int8_conv import int8_conv
from bot.inference.precision.layers import Make, has_onednn, has_vnni, with_layers

_LARGEST = 127
_SMALLEST_SCALE = 1e-8


def quantised(model: Any) -> Any:
    """Return a copy of a model that multiplies in 8 bits; it shares all other weights with the original."""
    import torch

    makers: dict[type, Make] = {torch.nn.Linear: int8_linear()}
    if has_onednn() and has_vnni():
        makers[torch.nn.Conv2d] = int8_conv
    return with_layers(model, makers)


@cache
def int8_linear() -> type[Any]:
    """Return the class of the layer; torch is imported only now."""
    import torch

    class Int8Linear(torch.nn.Module):
        """Compute what a Linear layer does, in 8-bit integers: rows (..., in) to (..., out)."""

        weight: torch.Tensor
        scale: torch.Tensor
        bias: torch.Tensor

        def __init__(self, linear: torch.nn.Linear) -> None:
            super().__init__()
            weight, scale = _rounded(linear.weight.detach())
            bias = torch.zeros(linear.out_features) if linear.bias is None else linear.bias.detach()
            self.register_buffer("weight", weight)
            self.register_buffer("scale", scale.squeeze(-1))
            self.register_buffer("bias", bias)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            rows, scale = _rounded(inputs.reshape(-1, inputs.shape[-1]))
            products = torch._int_mm(rows, self.weight.t())  # noqa: SLF001 - torch has no public name for it
            outputs = torch.addcmul(self.bias, products.float().mul_(self.scale), scale)
            return outputs.view(*inputs.shape[:-1], -1)

    return Int8Linear


def _rounded(rows: Any) -> tuple[Any, Any]:
    """Return rows (n, k) as 8-bit integers, and the scale (n, 1) to multiply each with."""
    import torch

    scale = rows.abs().amax(-1, keepdim=True).clamp_min_(_SMALLEST_SCALE).div_(_LARGEST)
    return (rows / scale).round_().to(torch.int8), scale
