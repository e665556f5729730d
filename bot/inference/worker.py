"""Own one device in a process of its own: load models, run batches, report what happens.

The parent sends messages over a pipe and gets messages back. The main thread computes; a second thread listens, so
that a stop is heard in the middle of a batch, and ends the process when the parent is gone.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from bot.inference.batch import BatchRun
from bot.inference.device import Device
from bot.inference.messages import Cancel, Hello, Run, Stop
from bot.inference.models import ModelCache
from bot.inference.pipeline import Pipeline
from bot.inference.registry import TASKS
from bot.inference.settings import TaskSettings

log = logging.getLogger(__name__)
_IDLE_CHECK_S = 15.0


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Say how a worker works. `log_level` is logging's number."""

    device: Device
    tasks: Mapping[str, TaskSettings]
    idle_unload_s: float = 900.0
    log_level: int = logging.WARNING


@dataclass(slots=True)
class _Inbox:
    """Receive the parent's messages in a thread of its own."""

    connection: Connection
    runs: queue.SimpleQueue[Run | Stop] = field(default_factory=queue.SimpleQueue)
    cancelled: set[str] = field(default_factory=set)

    def listen(self) -> None:
        """Sort messages until the parent goes away; then end the process, whatever it is doing."""
        try:
            while True:
                self._sort(self.connection.recv())
        except (EOFError, OSError):
            os._exit(0)

    def _sort(self, message: Run | Cancel | Stop) -> None:
        if isinstance(message, Cancel):
            self.cancelled.add(message.job_id)
        else:
            self.runs.put(message)


def worker_main(connection: Connection, options: WorkerOptions) -> None:
    """Serve the parent until it says stop. This is the entry point of the worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    _quiet_libraries(options.log_level)
    inbox = _Inbox(connection)
    threading.Thread(target=inbox.listen, name="inbox", daemon=True).start()
    options.device.open()
    _no_progress_bars()
    cache = ModelCache(options.device, budget_bytes=options.device.budget_bytes(), idle_unload_s=options.idle_unload_s)
    connection.send(Hello(os.getpid()))
    _serve(inbox, cache, options)
    os._exit(0)  # nothing is left to do, and tearing torch down takes a while


def _serve(inbox: _Inbox, cache: ModelCache, options: WorkerOptions) -> None:
    pipelines: dict[str, Pipeline] = {}
    while True:
        try:
            message = inbox.runs.get(timeout=_IDLE_CHECK_S)
        except queue.Empty:
            cache.unload_idle()
            continue
        if isinstance(message, Stop):
            return
        task = message.batch.task
        if task not in pipelines:
            pipelines[task] = TASKS[task].make_pipeline(options.tasks[task])
        started = time.monotonic()
        run = BatchRun(message.batch, pipelines[task], cache, options.device, inbox)
        inbox.connection.send(run.report(started))
        inbox.cancelled.difference_update(item.job_id for item in message.batch.items)


def _quiet_libraries(level: int) -> None:
    """Log as the parent does, and keep the libraries' own progress bars and advice off the terminal."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s worker %(name)s: %(message)s")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    for library in ("transformers", "diffusers", "huggingface_hub", "torchvision", "PIL"):
        logging.getLogger(library).setLevel(max(level, logging.ERROR))
    logging.captureWarnings(capture=True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)


def _no_progress_bars() -> None:
    from tqdm import tqdm
    from transformers.utils import logging as transformers_logging

    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a killed worker leaves behind
    transformers_logging.disable_progress_bar()


_QUIET: dict[str, Any] = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
}
