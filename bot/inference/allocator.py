"""Keep the memory that a batch frees for the next one, which glibc would give back to the system after each layer.

The system hands memory out page by page and clears it: a fifth of the time of a batch of texts went into that
(docs/performance.md). Other systems' allocators, musl's among them, are left as they are.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's numbers for mallopt(3)."""
_KEPT_BYTES, _LARGEST_BYTES = 1 << 30, 32 << 20
"""How much free memory stays at the end of the heap, and the largest piece that lies there (glibc allows no more)."""


def keep_freed_memory() -> None:
    """Let free memory stay with this process."""
    if (mallopt := _function("mallopt")) is not None:
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)


def give_back_memory() -> None:
    """Give free memory back to the system: a model was loaded or unloaded."""
    if (malloc_trim := _function("malloc_trim")) is not None:
        malloc_trim(0)


def _function(name: str) -> Any:
    """Return a function of glibc; None where there is another C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
