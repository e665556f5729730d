"""Set up the C library's allocator, if it's glibc's: for speed where models compute, for little memory in the bot.

glibc gives memory back to the system after each layer of a model. The system hands it out page by page and clears it: a
fifth of the time of a batch of texts went into that (docs/performance.md).
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""glibc's numbers for mallopt(3)."""
_KEPT_BYTES, _LARGEST_BYTES = 1 << 30, 32 << 20
"""How much free memory stays at the end of the heap, and the largest piece that lies there (glibc allows no more)."""


def keep_freed_memory() -> None:
    """Let free memory stay with this process."""
    if (mallopt := _function("mallopt")) is not None:
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)


def use_one_heap() -> None:
    """Let all threads share one heap: those of the bot mostly wait."""
    if (mallopt := _function("mallopt")) is not None:
        mallopt(_ARENA_MAX, 1)


def give_back_memory() -> None:
    """Give free memory back to the system: a model was loaded or unloaded."""
    if (malloc_trim := _function("malloc_trim")) is not None:
        malloc_trim(0)


def _function(name: str) -> Any:
    """Return a function of glibc; None where there is another C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
