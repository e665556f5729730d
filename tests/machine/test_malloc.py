"""Test that memory which was freed stays with the process, and is given back when asked."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from bot.machine.malloc import give_back_memory, keep_freed_memory

_PROGRAM = """
import resource, sys
from bot.machine.malloc import give_back_memory, keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    before = faults()
    for _ in range(20):
        bytes(bytearray(12_000_000))
    return faults() - before

if sys.argv[1] == "keep":
    keep_freed_memory()
use()
kept = use()
give_back_memory()
print(kept, use())
"""


def faults(mode: str) -> tuple[int, int]:
    """Return how many pages twenty uses of 24 MB ask the system for, before and after memory was given back."""
    program = [sys.executable, "-c", _PROGRAM, mode]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    before, after = map(int, done.stdout.split())
    return before, after


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc gives memory back so")
def test_freed_memory_stays_until_it_is_given_back() -> None:
    kept, given_back = faults("keep")
    assert kept < 1_000
    assert given_back > 3_000
    assert faults("leave")[0] > 20 * 3_000


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    keep_freed_memory()
    give_back_memory()
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("it was opened"))
    keep_freed_memory()
