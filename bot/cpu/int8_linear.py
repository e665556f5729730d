"""Multiply in 8-bit integers on the CPU, in the place of a Linear layer.

Weights are rounded once, with one scale for each output; inputs at every call, with one scale for each row. So a
text's answer doesn't depend on the texts that share its batch, and a few large values spoil only their own row.
torch's own dynamic quantisation has one scale for the whole batch: as fast, but it costs the bundled sentiment model
1.8 points (docs/performance.md).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from bot.cpu.layers import multiplies_bytes
from bot.cpu.rounding import LARGEST, MIDDLE, SMALLEST_SCALE


@cache
def int8_linear() -> type[Any]:
    """Return the class of the layer; torch is imported only now."""
    import torch

    no_zeros = torch.zeros(1, dtype=torch.int32)
    operations = torch.ops.onednn  # what torch.compile calls, too; torch has no public name for it

    class Int8Linear(torch.nn.Module):
        """Compute what a Linear layer does, in 8-bit integers: rows (..., in) to (..., out)."""

        weight: torch.Tensor
        scale: torch.Tensor
        bias: torch.Tensor

        def __init__(self, linear: torch.nn.Linear) -> None:
            super().__init__()
            weight, scale = _rounded(linear.weight.detach())
            bias = torch.zeros(linear.out_features) if linear.bias is None else linear.bias.detach()
            self._is_packed = multiplies_bytes()
            self.register_buffer("weight", operations.qlinear_prepack(weight, None) if self._is_packed else weight)
            self.register_buffer("scale", scale.squeeze(-1))
            self.register_buffer("bias", bias)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            rows, scale = _rounded(inputs.reshape(-1, inputs.shape[-1]))
            products = self._packed(rows) if self._is_packed else self._plain(rows)
            return torch.addcmul(self.bias, products, scale, out=products).view(*inputs.shape[:-1], -1)

        def _packed(self, rows: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = operations.qlinear_pointwise(
                rows.view(torch.uint8).add_(MIDDLE), 1.0, MIDDLE, self.weight, self.scale, no_zeros, None,
                1.0, 0, torch.float32, "none", [], "",
            )  # fmt: skip
            return result

        def _plain(self, rows: torch.Tensor) -> torch.Tensor:
            return torch._int_mm(rows, self.weight.t()).float().mul_(self.scale)  # noqa: SLF001 - no public name

    return Int8Linear


def _rounded(rows: Any) -> tuple[Any, Any]:
    """Return rows (n, k) as 8-bit integers, and the scale (n, 1) to multiply each with."""
    import torch

    largest = torch.maximum(rows.amax(-1, keepdim=True), rows.amin(-1, keepdim=True).neg_())
    scale = largest.clamp_min_(SMALLEST_SCALE).div_(LARGEST)
    return rows.mul(scale.reciprocal()).round_().to(torch.int8), scale
