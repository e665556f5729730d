"""Replace layers of a model by others that compute the same differently."""

from __future__ import annotations

import copy
import platform
from collections.abc import Callable, Mapping
from typing import Any

Make = Callable[[Any], Any]


def with_layers(model: Any, makers: Mapping[type, Make]) -> Any:
    """Return a copy of a model with the layers made from those of these types; it shares all weights with the original.

    A layer of a subclass stays: it may be something else.
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    result = copy.deepcopy(model, shared)
    for parent in list(result.modules()):
        for name, child in list(parent.named_children()):
            if type(child) in makers:
                setattr(parent, name, makers[type(child)](child))
    return result


def has_onednn() -> bool:
    """Say whether torch's own oneDNN layers may be used: on x86-64 only, since elsewhere nothing was measured."""
    import torch

    known = platform.machine().lower() in ("x86_64", "amd64")
    return known and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def multiplies_bytes() -> bool:
    """Say whether oneDNN multiplies bytes here, exactly: processors without VNNI stop adding at 15 bits."""
    import torch

    features = torch.cpu.get_capabilities() if has_onednn() else {}
    return bool(features.get("avx512_vnni") or features.get("avx_vnni"))
