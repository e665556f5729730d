"""Fold batch normalisation into the convolution before it, and let activations write over what they read.

Nothing in a model says which layers follow each other, so examples show it: a layer follows another when it gets just
what that one made. That nothing else reads it, too, their answers tell.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

_MOST_DIFFERENCE = 1e-3
"""Of an answer, as a share of the largest one: only the order of the arithmetic may change."""
_MADE_BY = "hubcord_made_by"
AFTER_RELU = "hubcord_after_relu"
"""Says of a convolution that it never reads a negative number."""


def folded(model: Any, make_probe: Callable[[Any], Callable[[Any], Any]]) -> Any:
    """Return a faster copy of a model with batch normalisation; the model itself if it has none, or can't be one.

    `make_probe` makes what runs a model on examples. The copy shares all other weights with the original.
    """
    import torch

    if not any(type(module) is torch.nn.BatchNorm2d for module in model.modules()):
        return model
    probe = make_probe(model)
    with torch.inference_mode():
        makers, right = _followed(model, probe)
        result = copy.deepcopy(model, _replacements(model, makers))
        difference = (probe(result) - right).abs().max()
    return result if difference <= _MOST_DIFFERENCE * right.abs().max() else model


def _followed(model: Any, probe: Callable[[Any], Any]) -> tuple[dict[Any, list[Any]], Any]:
    """Return the layers that made what each layer of interest got, call by call, and the answers to the examples."""
    import torch

    makers: dict[Any, list[Any]] = {}

    def follow(module: Any, args: Any) -> None:
        maker = getattr(args[0], _MADE_BY, None)
        if type(maker) in _relus() and args[0].amin() < 0:  # something has changed it since
            maker = None
        makers.setdefault(module, []).append(maker)

    def mark(module: Any, _args: Any, output: Any) -> None:
        setattr(output, _MADE_BY, module)

    with ExitStack() as hooks:
        for module in model.modules():
            if type(module) in (torch.nn.Conv2d, torch.nn.BatchNorm2d, *_relus()):
                hooks.callback(module.register_forward_pre_hook(follow).remove)
                hooks.callback(module.register_forward_hook(mark).remove)
        answers = probe(model)
    return makers, answers


def _replacements(model: Any, makers: dict[Any, list[Any]]) -> dict[int, Any]:
    """Return what takes the place of layers and weights in a copy, by the id of each, as `deepcopy` wants it."""
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    new: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    for module, before in makers.items():
        if type(module) in _relus() and None not in before:
            new[id(module)] = type(module)(inplace=True)
        elif type(module) is torch.nn.BatchNorm2d and type(before[0]) is torch.nn.Conv2d:
            (conv, *others) = before
            if not others and len(makers[conv]) == 1:
                new[id(conv)] = fuse_conv_bn_eval(conv, module)
                new[id(module)] = torch.nn.Identity()
                setattr(new[id(conv)], AFTER_RELU, type(makers[conv][0]) in _relus())
    return new


def _relus() -> tuple[type, ...]:
    """Return the activations that make no negative numbers."""
    import torch

    return torch.nn.ReLU, torch.nn.ReLU6
