"""Test what the garbage collector looks at in a worker."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from bot.machine.gc_control import collect_all, no_collection


class Knot:
    """Hold itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_was_loaded_is_looked_at_only_when_memory_is_wanted() -> None:
    with no_collection():
        assert not gc.isenabled()
        loaded = weakref.ref(Knot())
    gc.collect()
    assert loaded() is not None
    collect_all()
    assert loaded() is None


def test_other_garbage_is_collected_as_ever() -> None:
    with no_collection():
        pass
    later = weakref.ref(Knot())
    gc.collect()
    assert later() is None
    assert gc.isenabled()
