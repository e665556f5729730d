"""Run the worker process, which owns one device: it loads models, runs batches and reports to the bot.

It corresponds to the busy loop of vLLM's engine core process, without the scheduler, which lives in the bot
(`bot.engine.scheduler`). The main thread takes batches from the inbox and computes. A second thread receives messages,
and ends the process when the bot is gone; a third preprocesses jobs that will run soon (`bot.workers.inbox`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from bot.cpu.choice import wait_for_measuring
from bot.machine.device import Device, DeviceBroken, compute_alone
from bot.machine.gc_control import no_collection
from bot.machine.malloc import keep_freed_memory
from bot.tasks.base import Pipeline
from bot.tasks.registry import TASKS
from bot.tasks.settings import TaskSettings
from bot.workers.batch_runner import BatchRun
from bot.workers.inbox import Inbox
from bot.workers.model_cache import ModelCache
from bot.workers.protocol import Event, Ready, RunBatch, Stop, Unloaded

log = logging.getLogger(__name__)
_IDLE_CHECK_S = 15.0
_SPINS = "8000"
"""Rounds of waiting awake: the most that cost nothing on a quiet machine, few enough for a busy one."""
_SHAPES = "256"
"""Shapes of layers that oneDNN remembers, of about a megabyte each; its own limit of 1,024 is a gigabyte."""
_BROKEN = 70
"""Exit code of a worker whose device can't be used any more."""
_SWITCH_S = 0.001
"""How long a thread that imports or loads may keep the one that computes from the interpreter."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Say how a worker works.

    `log_level` is logging's number, `trusted` are the PyTorch Hub repositories whose code may run.
    """

    device: Device
    tasks: Mapping[str, TaskSettings]
    idle_unload_s: float = 900.0
    log_level: int = logging.WARNING
    trusted: tuple[str, ...] = ()


def worker_main(connection: Connection, options: WorkerOptions) -> None:
    """Serve the bot until it says stop. This is the entry point of the worker process."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they may reach the whole group; the parent decides
        signal.signal(number, signal.SIG_IGN)
    _let_the_bot_go_first()
    _let_others_compute()
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _SHAPES)
    keep_freed_memory()
    sys.setswitchinterval(_SWITCH_S)
    os.dup2(2, 1)  # libraries print here; standard output belongs to the answers of the command line
    _quiet_libraries(options.log_level)
    inbox = Inbox(connection, end=os._exit)  # whatever the main thread is doing
    threading.Thread(target=inbox.listen, name="inbox", daemon=True).start()
    with no_collection():
        options.device.open()
        _no_progress_bars()
    budget_bytes = options.device.budget_bytes()
    cache = ModelCache(
        options.device, budget_bytes=budget_bytes, idle_unload_s=options.idle_unload_s, trusted=options.trusted
    )
    worker = Worker(inbox, cache, options)
    _start_preprocessing(worker, inbox, cache)
    inbox.send(Ready(os.getpid(), budget_bytes))
    worker.serve()
    os._exit(0)  # nothing is left to do, and tearing torch down takes a while


class Worker:
    """Run the batches that come in, one after another; short ones also between the steps of a preemptible one."""

    def __init__(self, inbox: Inbox, cache: ModelCache, options: WorkerOptions) -> None:
        self._inbox = inbox
        self._cache = cache
        self._options = options
        self._pipelines: dict[str, Pipeline] = {}
        self._making = threading.Lock()

    def serve(self) -> None:
        """Run batches until the bot says stop."""
        pause_s = min(_IDLE_CHECK_S, self._options.idle_unload_s)
        due = time.monotonic() + pause_s
        while True:
            if time.monotonic() >= due:
                self._unload_idle()
                due = time.monotonic() + pause_s
            try:
                message = self._inbox.runs.get(timeout=pause_s)
            except queue.Empty:
                continue
            if isinstance(message, Stop):
                return
            self._run(message)

    def yield_to_short_jobs(self) -> float:
        """Run the batches that came meanwhile; return the seconds that they took, and that a measurement needed."""
        started = time.monotonic()
        wait_for_measuring()
        with contextlib.suppress(queue.Empty):
            while True:
                message = self._inbox.runs.get_nowait()
                if isinstance(message, Stop):
                    os._exit(0)  # the bot doesn't wait for what runs
                self._run(message)
        return time.monotonic() - started

    def pipeline(self, task: str) -> Pipeline:
        """Return the pipeline of a task, made when it is first needed."""
        with self._making:
            if task not in self._pipelines:
                self._pipelines[task] = TASKS[task].make_pipeline(self._options.tasks)
            return self._pipelines[task]

    def _unload_idle(self) -> None:
        if self._cache.unload_idle():
            self._inbox.send(Unloaded(self._cache.sizes))

    def _run(self, message: RunBatch) -> None:
        batch = self._inbox.completed(message.batch)
        channel = PipeChannel(message.number, self._inbox, self)
        try:
            report = BatchRun(batch, self.pipeline(batch.task), self._cache, self._options.device, channel).report()
        except DeviceBroken:
            log.exception("%s can't be used any more: this worker ends", self._options.device.name)
            os._exit(_BROKEN)  # another one opens the device anew, and runs what wasn't answered
        self._inbox.forget(item.job_id for item in batch.items)
        self._inbox.send((message.number, (report,)))


class PipeChannel:
    """Connect one batch with the bot process (`bot.workers.batch_runner.BatchChannel`)."""

    def __init__(self, number: int, inbox: Inbox, worker: Worker) -> None:
        self._number = number
        self._inbox = inbox
        self._worker = worker

    def send(self, *events: Event) -> None:
        """Send events of this batch in one message."""
        if events:
            self._inbox.send((self._number, events))

    def cancelled(self, job_id: str) -> bool:
        """Say whether a job was stopped."""
        return self._inbox.cancelled(job_id)

    def preprocessed(self, job_id: str) -> Any:
        """Return the input that was preprocessed ahead of time, or its UserError; None when there is neither."""
        return self._inbox.preprocessed(job_id)

    def yield_to_short_jobs(self) -> float:
        """Run the short batches that wait; return the seconds that they took."""
        return self._worker.yield_to_short_jobs()


def _start_preprocessing(worker: Worker, inbox: Inbox, cache: ModelCache) -> None:
    """Start the thread that preprocesses jobs, before anything computes."""
    is_alone = threading.Event()

    def preprocess() -> None:
        compute_alone()
        is_alone.set()
        inbox.preprocess(worker.pipeline, cache)

    threading.Thread(target=preprocess, name="preprocess", daemon=True).start()
    is_alone.wait()


def _let_the_bot_go_first() -> None:
    """Give the bot process precedence: it needs little, but at once."""
    with contextlib.suppress(AttributeError, OSError):  # not on Windows
        os.nice(5)


def _let_others_compute() -> None:
    """Let OpenMP's threads wait for each other asleep after some microseconds, not awake as they would for long.

    Else each holds a core while another program keeps the one that it waits for from its own. It has to be said before
    torch is imported; a host who knows better says so in the environment.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


def _quiet_libraries(level: int) -> None:
    """Log as the parent does, and keep the libraries' own progress bars and advice off the terminal."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s worker %(name)s: %(message)s")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    for library in ("transformers", "diffusers", "huggingface_hub", "httpx2", "torchvision", "PIL"):
        logging.getLogger(library).setLevel(max(level, logging.ERROR))
    logging.getLogger("diffusers.loaders").setLevel(logging.CRITICAL)  # an adapter's error tells the same, in one line
    logging.captureWarnings(capture=True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)


def _no_progress_bars() -> None:
    from tqdm import tqdm
    from transformers.utils import logging as transformers_logging

    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a killed worker leaves behind
    transformers_logging.disable_progress_bar()


_QUIET: dict[str, Any] = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
}
