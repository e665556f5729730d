"""Be the process that fetches one model, and tell twice a second how far it is.

It reads what to fetch from its standard input, and writes to its standard output what
`bot.hub.download.process` reads. It ends with its parent: then there is nobody to tell.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from bot.errors import ModelUnavailable
from bot.hub.access import model_unavailable
from bot.hub.download.progress import FetchProgress
from bot.hub.download.repository import fetch_here
from bot.hub.download.torch_weights import fetch_from_torch_here
from bot.hub.model_filter import FOLDERS
from bot.hub.reference import ModelReference
from bot.i18n.durations import format_duration

Say = Callable[[Any], None]
_EVERY_S = 0.5
_PART_BYTES = 1 << 20
"""What is written at a time: a tenth of huggingface_hub's own. So a slow download doesn't look like one that stands
still, and one that was cut goes on close to there."""
_STALLED = "Nothing came for {waited}. 1. Check this machine's network, and what HF_ENDPOINT names. 2. Try again."


def main() -> None:
    """Fetch, say what became of it, and end."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they may reach the whole group; the parent decides
        signal.signal(number, signal.SIG_IGN)
    say = _take_output()
    reference, model_filter, trusted, stall_s = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    progress = FetchProgress()
    threading.Thread(target=_tell, args=(reference, progress, say, stall_s), daemon=True).start()
    _set_libraries_up()
    try:
        if reference.scheme in FOLDERS:
            found = fetch_here(reference, model_filter, progress.watch)
        else:
            found = fetch_from_torch_here(reference, model_filter, trusted, progress.watch)
    except ModelUnavailable as error:
        say(error)
    else:
        say(progress.bytes())
        say(found)
    os._exit(0)  # whatever thread still waits


def _take_output() -> Say:
    """Return what writes a message to standard output, and keep what libraries print off it."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    writing = threading.Lock()

    def say(message: Any) -> None:
        with writing:
            pickle.dump(message, output)
            output.flush()

    return say


def _tell(reference: ModelReference, progress: FetchProgress, say: Say, stall_s: float) -> None:
    """Say how far it is until the process ends; end it when the parent is gone or the download stands still."""
    try:
        while progress.still_s() < stall_s:
            say(progress.bytes())
            time.sleep(_EVERY_S)
        say(model_unavailable(reference, _STALLED.format(waited=format_duration(stall_s))))
    finally:
        os._exit(1)


def _set_libraries_up() -> None:
    """Keep advice off the terminal, and write in small parts."""
    os.environ |= {"HF_HUB_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    from huggingface_hub import constants
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a killed process leaves behind
    constants.DOWNLOAD_CHUNK_SIZE = _PART_BYTES


if __name__ == "__main__":
    main()
