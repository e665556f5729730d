"""Hold Python's garbage collector back where it finds nothing: a fifth of a worker's start goes into its searches."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Collect no garbage while libraries are imported or a model is loaded; later searches leave these objects out.

    They stay for long. A search through them would delay a batch by a quarter of a second.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_all() -> None:
    """Collect all garbage, among the objects that searches leave out too."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
