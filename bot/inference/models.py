"""Keep loaded models in memory, within a budget, least recently used out first."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.errors import UserError
from bot.inference.device import Device
from bot.inference.hub import ModelFiles, OnFetch, find_model

log = logging.getLogger(__name__)
Loader = Callable[[ModelFiles, Device], Any]


@dataclass(slots=True)
class _Entry:
    model: Any
    size_bytes: int
    used_at: float


class ModelCache:
    """Load models on demand. Models used since `begin()` are never evicted."""

    def __init__(self, device: Device, *, budget_bytes: int, idle_unload_s: float) -> None:
        self._device = device
        self._budget_bytes = budget_bytes
        self._idle_unload_s = idle_unload_s
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._in_use: set[str] = set()
        self.loading_s = 0.0

    @property
    def loaded(self) -> frozenset[str]:
        """Return the references that are in memory."""
        return frozenset(self._entries)

    def begin(self) -> None:
        """Start a batch: forget what the last one used, and count loading time anew."""
        self._in_use.clear()
        self.loading_s = 0.0

    def get(self, reference: str, loader: Loader, on_fetch: OnFetch = lambda _: None) -> Any:
        """Return the model of `reference`; raise ModelUnavailable when it can't be found or loaded."""
        entry = self._entries.get(reference)
        if entry is None:
            entry = self._load(reference, loader, on_fetch)
        self._in_use.add(reference)
        self._entries.move_to_end(reference)
        entry.used_at = time.monotonic()
        return entry.model

    def unload_others(self) -> None:
        """Unload every model that the present batch doesn't use."""
        for reference in [r for r in self._entries if r not in self._in_use]:
            self._unload(reference)
        self._device.empty_cache()

    def unload_idle(self) -> None:
        """Unload models that nobody used for `idle_unload_s`."""
        limit = time.monotonic() - self._idle_unload_s
        idle = [r for r, entry in self._entries.items() if entry.used_at < limit]
        for reference in idle:
            self._unload(reference)
        if idle:
            self._device.empty_cache()

    def _load(self, reference: str, loader: Loader, on_fetch: OnFetch) -> _Entry:
        started = time.monotonic()
        files = find_model(reference, on_fetch)
        self._make_room(files.size_bytes)
        try:
            model = loader(files, self._device)
        except UserError:
            raise
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise _unloadable(files, error) from error
        entry = _Entry(model, measured_bytes(model) or files.size_bytes, time.monotonic())
        self._entries[reference] = entry
        self._in_use.add(reference)
        self._make_room(0)
        self.loading_s += time.monotonic() - started
        log.info("loaded %s (%.0f MB) in %.1f s", reference, entry.size_bytes / 1e6, time.monotonic() - started)
        return entry

    def _make_room(self, size_bytes: int) -> None:
        for reference in list(self._entries):
            if sum(e.size_bytes for e in self._entries.values()) + size_bytes <= self._budget_bytes:
                return
            if reference not in self._in_use:
                self._unload(reference)
                self._device.empty_cache()

    def _unload(self, reference: str) -> None:
        del self._entries[reference]
        log.info("unloaded %s", reference)


def _unloadable(files: ModelFiles, error: Exception) -> UserError:
    from bot.errors import ModelUnavailable

    return ModelUnavailable(
        "The model {model} can't be loaded for this.",
        model=files.shown,
        hint=f"{type(error).__name__}: {error}",
    )


def measured_bytes(model: Any) -> int:
    """Return the bytes of all parameters and buffers in a model, a pipeline or anything that holds modules."""
    import torch

    modules = [model] if isinstance(model, torch.nn.Module) else list(_parts(model))
    tensors = (t for m in modules for t in (*m.parameters(), *m.buffers()))
    return sum(t.numel() * t.element_size() for t in tensors)


def _parts(model: Any) -> Any:
    import torch

    parts = getattr(model, "components", None) or getattr(model, "__dict__", {})
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            yield part
        elif hasattr(part, "components"):
            yield from _parts(part)
