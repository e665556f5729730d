"""Hold Python's garbage collector back where it finds nothing: a fifth of a worker's start goes into its searches."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Collect no garbage while libraries are imported or a model is loaded: what is made there, stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
