"""Fetch a model in a process of its own, which can be stopped whatever it waits for."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Container
from pathlib import Path
from typing import IO, cast

from bot.errors import ModelUnavailable
from bot.hub.access import model_unavailable
from bot.hub.model_filter import ModelFilter
from bot.hub.reference import ModelReference

STALL_S = 300.0
"""How long a download may stand still. huggingface_hub only notices a connection that says nothing at all."""
OnFetch = Callable[[int, int], None]
"""Hears how many bytes are fetched, and of how many; 0 while that isn't known. It is called about twice a second."""


def fetch_apart(
    reference: ModelReference, model_filter: ModelFilter, on_fetch: OnFetch, trusted: Container[str] = ()
) -> Path:
    """Return the folder of a repository's commit, or what torch fetched; raise ModelUnavailable.

    `trusted` are the PyTorch Hub repositories whose code may run. What `on_fetch` raises stops the process.
    """
    command = [sys.executable, "-m", "bot.hub.download.process_main"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:  # noqa: S603
        to, back = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        try:
            pickle.dump((reference, model_filter, trusted, STALL_S), to)
            to.close()
            return _listen(back, on_fetch)
        except (EOFError, BrokenPipeError):
            raise model_unavailable(reference, f"The process that fetched it ended ({process.wait()}).") from None
        finally:
            process.kill()


def _listen(messages: IO[bytes], on_fetch: OnFetch) -> Path:
    while True:
        match pickle.load(messages):  # noqa: S301 - from our own child
            case Path() as folder:
                return folder
            case ModelUnavailable() as error:
                raise error
            case (done, total):
                on_fetch(done, total)
