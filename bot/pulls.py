"""Fetch models in processes of their own, so that neither the bot nor a device waits for a download."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import Callable, Mapping
from typing import Any

from bot.config import Settings
from bot.errors import JobCancelled, UserError
from bot.inference.pull import Fetched, pull_main
from bot.jobs.worker_process import listen

_spawn = multiprocessing.get_context("spawn")


class Pull:
    """Hold one download: how many bytes are fetched of how many, and after its end what it became, or the error."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self.done = self.total = 0
        self.shown = ""
        self.error: Exception | None = None
        self.ended = asyncio.Event()
        self.kill: Callable[[], object] = lambda: None

    @property
    def share(self) -> float:
        """Return the share that is fetched, 0 to 1; 0 while that isn't known."""
        return self.done / self.total if self.total else 0.0

    def cancel(self) -> None:
        """Stop it; what was fetched of complete files stays."""
        if not self.ended.is_set():
            self.error = JobCancelled("Cancelled.")
            self.kill()

    def hear(self, message: Any) -> None:
        """Take what the process says; None when it has ended."""
        match message:
            case Fetched(done, total):
                self.done, self.total = done, total
            case str():
                self.shown = message
            case UserError():
                self.error = message
            case None:
                if not self.shown and self.error is None:
                    self.error = RuntimeError(f"the process that fetched {self.reference} ended without a word")
                self.ended.set()


class Pulls:
    """Own the downloads that run, one for each model."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pulls: dict[str, Pull] = {}

    @property
    def shares(self) -> Mapping[str, float]:
        """Return the models that are being fetched, with the share that is."""
        return {reference: pull.share for reference, pull in self._pulls.items() if not pull.ended.is_set()}

    def start(self, reference: str) -> Pull:
        """Return the download of a configured model: the one that runs already, else a new one."""
        pull = self._pulls.get(reference)
        if pull is None or pull.ended.is_set():
            pull = self._pulls[reference] = Pull(reference)
            tasks = self._settings.tasks.items()
            task = next(name for name, settings in tasks if reference in settings.references)
            start_process(pull, task, self._settings.hub.trusted_torchhub)
        return pull

    def close(self) -> None:
        """Stop all downloads; a later one goes on with the files that are missing."""
        for pull in self._pulls.values():
            pull.cancel()


def start_process(pull: Pull, task: str, trusted: tuple[str, ...]) -> None:
    """Fetch a model for a task in a process, and let `pull` hear of it."""
    ours, theirs = _spawn.Pipe(duplex=False)
    process = _spawn.Process(
        target=pull_main, args=(theirs, pull.reference, task, trusted), name="hubcord-pull", daemon=True
    )
    process.start()
    theirs.close()
    pull.kill = process.kill
    loop = asyncio.get_running_loop()

    def follow() -> None:
        listen(pull.hear, ours, loop)
        process.join()

    threading.Thread(target=follow, name="hubcord-pull", daemon=True).start()
