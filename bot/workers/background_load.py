"""Load a model in another thread, so that its device can serve others meanwhile."""

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
Meanwhile = Callable[[], float]
"""Lets others use the device; returns the seconds that they did."""
Made = TypeVar("Made")
_LOOK_S = 0.01
_one_at_a_time = threading.Lock()
"""transformers and diffusers change settings of the whole process while they load."""


class Aside:
    """Do work in another thread and call `meanwhile` again and again until it is done.

    `own_s` are the seconds since it was made, without those that went to others.
    """

    def __init__(self, meanwhile: Meanwhile) -> None:
        self._meanwhile = meanwhile
        self._away_s = 0.0
        self._started = time.monotonic()

    @property
    def own_s(self) -> float:
        """Return the seconds until now."""
        return time.monotonic() - self._started - self._away_s

    def do(self, work: Callable[[], Made]) -> Made:
        """Return what the work returns. Others have to wait while precisions are measured: they'd disturb that.

        The thread ends with its work. One that had computed and stayed would count among OpenMP's, which then are more
        than the cores: all others would no longer spin at their barriers, and lose a third of their speed.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="load") as thread:
            done = thread.submit(_alone, work)
            while not done.done():
                if not measuring.is_set():
                    self._away_s += self._meanwhile()
                wait([done], timeout=_LOOK_S)
        try:
            return done.result()
        finally:
            del done  # else an error would hold itself, and the tensors of its frames, until the next collection


def _alone(work: Callable[[], Made]) -> Made:
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
        give_back_memory()  # weights as they were before they were converted


def _unloadable(files: ModelFiles, error: Exception) -> ModelUnavailable:
    return ModelUnavailable(
        "The model {model} can't be loaded for this.",
        model=files.shown,
        reference=files.reference.text,
        hint=f"{files.reference.text}: {one_line(error)}",
        reason=type(error).__name__,
    )
