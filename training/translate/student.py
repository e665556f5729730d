"""The student: the same network as a plain MarianMTModel, its decoder's self-attention free to learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import MarianMTModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


def make_student(teacher: MarianMTModel) -> MarianMTModel:
    """Return a MarianMTModel with the teacher's weights that fit, and the cells' W to project values."""
    student = MarianMTModel(teacher.config)
    state = student.state_dict()
    known = {name: value for name, value in teacher.state_dict().items() if name in state}
    student.load_state_dict(known, strict=False)
    student.tie_weights()
    student.requires_grad_(False)
    layers = zip(student.model.decoder.layers, teacher.model.decoder.layers, strict=True)
    for layer, cell in layers:
        with torch.no_grad():
            layer.self_attn.v_proj.weight.copy_(cell.self_attn.w.weight)
    for _, parameter in trainable(student):
        parameter.requires_grad_(True)
    return student


def trainable(student: MarianMTModel) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield what trains, by name: the decoder's self-attention and its layer norms, 0.53 M numbers."""
    for name, parameter in student.named_parameters():
        if name.startswith("model.decoder.layers.") and ".self_attn" in name:
            yield name, parameter


def delta(student: MarianMTModel) -> dict[str, torch.Tensor]:
    """Return what `models/bergamot-*/delta.safetensors` holds: the trained tensors in float16."""
    return {name: value.detach().to(torch.float16).contiguous() for name, value in trainable(student)}
