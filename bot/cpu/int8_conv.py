"""Convolve in 8-bit integers on the CPU: replace the convolutions of a model that looks at pictures.

Weights are rounded once, with one scale for each output channel; inputs at every call, with one scale for each picture.
So an answer doesn't depend on the pictures that share its batch.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from bot.cpu.folded import AFTER_RELU
from bot.cpu.rounding import LARGEST, MIDDLE, SMALLEST_SCALE


def int8_conv(conv: Any) -> Any:
    """Return the layer that takes the place of a Conv2d: itself where that gains nothing.

    One that cuts a picture into patches is the only one of its model, which reads the type of numbers from its weights.
    """
    is_plain = conv.groups == 1 and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    cuts = conv.stride == conv.kernel_size != (1, 1)
    return int8_conv_class()(conv) if is_plain and not cuts else conv


@cache
def int8_conv_class() -> type[Any]:
    """Return the class of the layer; torch is imported only now."""
    import torch

    half, no_zeros = torch.tensor(0.5), torch.zeros(1, dtype=torch.int32)
    operations = torch.ops.onednn  # what torch.compile calls, too; torch has no public name for it

    class Int8Conv2d(torch.nn.Module):
        """Compute what a Conv2d does, in 8-bit integers: (batch, in, height, width) to (batch, out, ...)."""

        weight: torch.Tensor
        scale: torch.Tensor
        bias: torch.Tensor

        def __init__(self, conv: torch.nn.Conv2d) -> None:
            super().__init__()
            weight = conv.weight.detach()
            scale = weight.abs().amax((1, 2, 3)).clamp_min(SMALLEST_SCALE).div_(LARGEST)
            bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
            self._steps = list(conv.stride), list(conv.padding), list(conv.dilation), conv.groups
            self._zero = 0 if getattr(conv, AFTER_RELU, False) else MIDDLE
            self._is_packed = False
            self.register_buffer("weight", (weight / scale.view(-1, 1, 1, 1)).round_().to(torch.int8))
            self.register_buffer("scale", scale)
            self.register_buffer("bias", bias.view(-1, 1, 1))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            rounded, scale = self._rounded(inputs.contiguous(memory_format=torch.channels_last))
            if not self._is_packed:
                self.weight = operations.qconv_prepack(
                    self.weight, self.scale, 1.0, self._zero, *self._steps, rounded.shape
                )
                self._is_packed = True
            outputs = operations.qconv_pointwise(
                rounded, 1.0, self._zero, self.weight, self.scale, no_zeros, None, *self._steps,
                1.0, 0, torch.float32, "none", [], "",
            )  # fmt: skip
            return torch.addcmul(self.bias, outputs, scale, out=outputs)

        def _rounded(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            """Return pictures (batch, channels, height, width) as bytes, and the scale (batch, 1, 1, 1) of each.

            They are rounded one by one, since that stays in the processor's cache.
            """
            rows = pictures.permute(0, 2, 3, 1).flatten(1)
            largest = rows.amax(-1) if self._zero == 0 else torch.maximum(rows.amax(-1), rows.amin(-1).neg_())
            scale = largest.clamp_min_(SMALLEST_SCALE).div_(LARGEST)
            rounded = torch.empty_like(rows, dtype=torch.int8)
            for row, place, factor in zip(rows, rounded, scale.reciprocal().tolist(), strict=True):
                place.copy_(torch.add(half, row, alpha=factor) if self._zero == 0 else row.mul(factor).round_())
            batch, channels, height, width = pictures.shape
            result = rounded.view(torch.uint8).view(batch, height, width, channels).permute(0, 3, 1, 2)
            return result.add_(self._zero) if self._zero else result, scale.view(-1, 1, 1, 1)

    return Int8Conv2d
