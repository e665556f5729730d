"""Keep loaded models in memory, within a budget, least recently used out first.

It is to models what vLLM's block pool is to the keys and values of tokens: a batch takes what it needs, and what no
running batch uses can be evicted.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.hub.download.process import OnFetch
from bot.hub.model_filter import ANYTHING, ModelFilter
from bot.hub.resolve import ModelFiles, find_model
from bot.hub.retry_later import MissingModels
from bot.machine.device import Device
from bot.workers.background_load import BackgroundLoad, Loader, OnIdle, load

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    model: Any
    size_bytes: int
    used_at: float


@dataclass(slots=True, eq=False)
class _Scope:
    """Remember what one batch uses, and the seconds that it spent loading."""

    used: set[str] = field(default_factory=set)
    loading_s: dict[str, float] = field(default_factory=dict)


class ModelCache:
    """Load models on demand. Models that are used inside of `in_use()` are never evicted."""

    def __init__(
        self, device: Device, *, budget_bytes: int, idle_unload_s: float, trusted: Container[str] = ()
    ) -> None:
        self._device = device
        self._budget_bytes = budget_bytes
        self._idle_unload_s = idle_unload_s
        self._trusted = trusted
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._scopes: list[_Scope] = []
        self._missing = MissingModels()

    @property
    def sizes(self) -> dict[str, int]:
        """Return the references that are in memory, and their models' bytes."""
        return {reference: entry.size_bytes for reference, entry in self._entries.items()}

    def peek(self, reference: str) -> Any:
        """Return a model if it is in memory, else None. Other threads may ask, too."""
        entry = self._entries.get(reference)
        return None if entry is None else entry.model

    @contextlib.contextmanager
    def in_use(self) -> Iterator[dict[str, float]]:
        """Keep what is used inside in memory; yield a record of the seconds that each model took to load.

        One batch may run inside another that gives way to it.
        """
        scope = _Scope()
        self._scopes.append(scope)
        try:
            yield scope.loading_s
        finally:
            self._scopes.remove(scope)
            for reference in scope.used & self._entries.keys():
                self._entries[reference].used_at = time.monotonic()

    def get(
        self,
        reference: str,
        loader: Loader,
        on_fetch: OnFetch = lambda _done, _total: None,
        model_filter: ModelFilter = ANYTHING,
        on_idle: OnIdle = lambda: 0.0,
    ) -> Any:
        """Return the model of `reference`; raise ModelUnavailable when it can't be found, used or loaded.

        Another thread finds and loads it; this thread calls `on_idle` until that is done.
        """
        entry = self._entries.get(reference)
        if entry is None:
            with self._missing.asked_seldom(reference):
                entry = self._load(reference, loader, on_fetch, model_filter, on_idle)
        self._use(reference)
        self._entries.move_to_end(reference)
        entry.used_at = time.monotonic()
        return entry.model

    def evict_unused(self) -> bool:
        """Unload every model that no running batch uses; say whether that can have freed memory."""
        unused = [reference for reference in self._entries if not self._is_used(reference)]
        for reference in unused:
            self._unload(reference)
        self._device.empty_cache()
        return bool(unused) or self._device.is_cuda

    def unload_idle(self) -> bool:
        """Unload models that nobody used for `idle_unload_s`; say whether there were any."""
        limit = time.monotonic() - self._idle_unload_s
        idle = [r for r, entry in self._entries.items() if entry.used_at < limit]
        for reference in idle:
            self._unload(reference)
        if idle:
            self._device.empty_cache()
        return bool(idle)

    def _load(
        self, reference: str, loader: Loader, on_fetch: OnFetch, model_filter: ModelFilter, on_idle: OnIdle
    ) -> _Entry:
        background = BackgroundLoad(on_idle)
        files: ModelFiles = background.run(lambda: find_model(reference, on_fetch, model_filter, self._trusted))
        self._make_room(files.size_bytes)
        model = background.run(lambda: load(files, loader, self._device))
        entry = _Entry(model, measured_bytes(model) or files.size_bytes, time.monotonic())
        self._entries[reference] = entry
        self._use(reference)
        self._make_room(0)
        for scope in self._scopes[-1:]:
            scope.loading_s[reference] = background.busy_s
        log.info("loaded %s (%.0f MB) in %.1f s", reference, entry.size_bytes / 1e6, background.busy_s)
        return entry

    def _make_room(self, size_bytes: int) -> None:
        for reference in list(self._entries):
            if sum(e.size_bytes for e in self._entries.values()) + size_bytes <= self._budget_bytes:
                return
            if not self._is_used(reference):
                self._unload(reference)
                self._device.empty_cache()

    def _use(self, reference: str) -> None:
        for scope in self._scopes[-1:]:
            scope.used.add(reference)

    def _is_used(self, reference: str) -> bool:
        return any(reference in scope.used for scope in self._scopes)

    def _unload(self, reference: str) -> None:
        del self._entries[reference]
        log.info("unloaded %s", reference)


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
