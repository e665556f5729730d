"""Load a model in another thread, while the main thread goes on running short batches on the device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from bot.cpu.choice import measuring
from bot.errors import ModelUnavailable, UserError, one_line
from bot.hub.resolve import ModelFiles
from bot.machine.device import Device, is_out_of_memory
from bot.machine.gc_control import no_collection
from bot.machine.malloc import give_back_memory

Loader = Callable[[ModelFiles, Device], Any]
OnIdle = Callable[[], float]
"""Runs the batches that wait for the device; returns the seconds that they took."""
T = TypeVar("T")
_LOOK_S = 0.01
_one_at_a_time = threading.Lock()
"""transformers and diffusers change settings of the whole process while they load."""


class BackgroundLoad:
    """Find and load a model in another thread; call `on_idle` again and again until that is done."""

    def __init__(self, on_idle: OnIdle) -> None:
        self._on_idle = on_idle
        self._away_s = 0.0
        self._started = time.monotonic()

    @property
    def busy_s(self) -> float:
        """Return the seconds since the start, without those that other batches took."""
        return time.monotonic() - self._started - self._away_s

    def run(self, work: Callable[[], T]) -> T:
        """Return the result of `work`. Other batches wait while precisions are measured: they would disturb that.

        The thread ends with its work. A thread that has computed and stays counts among OpenMP's threads. Those are
        then more than the cores, no longer spin at their barriers, and lose a third of their speed.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="load") as thread:
            done = thread.submit(_serialized, work)
            while not done.done():
                if not measuring.is_set():
                    self._away_s += self._on_idle()
                wait([done], timeout=_LOOK_S)
        try:
            return done.result()
        finally:
            del done  # an error would hold itself, and the tensors of its frames, until the next collection


def _serialized(work: Callable[[], T]) -> T:
    with _one_at_a_time:
        return work()


def load(files: ModelFiles, loader: Loader, device: Device) -> Any:
    """Load a model; raise ModelUnavailable when it can't be."""
    from safetensors import SafetensorError

    try:
        with no_collection():
            return loader(files, device)
    except UserError:
        raise
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        raise _unloadable(files, error) from error
    except RuntimeError as error:  # weights of other shapes than the configuration's
        if type(error) is not RuntimeError or is_out_of_memory(error) or device.is_broken():
            raise
        raise _unloadable(files, error) from error
    finally:
        give_back_memory()  # of the weights before they were converted


def _unloadable(files: ModelFiles, error: Exception) -> ModelUnavailable:
    return ModelUnavailable(
        "The model {model} can't be loaded for this.",
        model=files.shown,
        reference=files.reference.text,
        hint=f"{files.reference.text}: {one_line(error)}",
        reason=type(error).__name__,
    )
