"""Replace the Linear layers of a model by others that compute the same differently."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any


def with_linears(model: Any, make: Callable[[Any], Any]) -> Any:
    """Return a copy of a model in which `make` replaced each Linear layer; it shares all weights with the original."""
    import torch

    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    result = copy.deepcopy(model, shared)
    for parent in list(result.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear:  # a subclass may be something else
                setattr(parent, name, make(child))
    return result
