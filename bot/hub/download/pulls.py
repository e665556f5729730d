"""Fetch models in threads that only listen, so that neither the bot nor a device waits for a download."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Container, Mapping

from bot.config import Settings
from bot.errors import JobCancelled
from bot.hub.model_filter import ModelFilter
from bot.hub.resolve import find_model
from bot.tasks.registry import configured


class Pull:
    """Hold one download: how many bytes are fetched of how many, and after its end what it became, or the error.

    `id` names it in the id of a button.
    """

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self.id = secrets.token_hex(8)
        self.done = self.total = 0
        self.shown = ""
        self.error: Exception | None = None
        self.ended = asyncio.Event()

    @property
    def share(self) -> float:
        """Return the share that is fetched, 0 to 1; 0 while that isn't known."""
        return self.done / self.total if self.total else 0.0

    def cancel(self) -> None:
        """Stop it; what was fetched stays, and a later one goes on from there."""
        self.end(JobCancelled("Cancelled."))

    def hear(self, done: int, total: int) -> None:
        """Take how far it is; raise JobCancelled when it was stopped, which ends the process that fetches."""
        if isinstance(self.error, JobCancelled):
            raise JobCancelled("Cancelled.")
        self.done, self.total = done, total

    def end(self, end: str | Exception) -> None:
        """Take what it became, or why it didn't; the first end counts."""
        if self.ended.is_set():
            return
        if isinstance(end, Exception):
            self.error = end
        else:
            self.shown = end
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
        """Return the download of a configured model or adapter: the one that runs already, else a new one."""
        pull = self._pulls.get(reference)
        if pull is None or pull.ended.is_set():
            pull = self._pulls[reference] = Pull(reference)
            known = configured(self._settings.tasks)
            model_filter = next(model_filter for _task, text, model_filter in known if text == reference)
            start_thread(pull, model_filter, self._settings.hub.trusted_torchhub)
        return pull

    def find(self, pull_id: str) -> Pull | None:
        """Return a download by its id; None for one of before a restart."""
        return next((pull for pull in self._pulls.values() if pull.id == pull_id), None)

    def close(self) -> None:
        """Stop all downloads."""
        for pull in self._pulls.values():
            pull.cancel()


def start_thread(pull: Pull, model_filter: ModelFilter, trusted: Container[str]) -> None:
    """Fetch a model in a thread that listens to the process that does, and let `pull` hear of it."""
    arguments = (pull, model_filter, trusted, asyncio.get_running_loop())
    threading.Thread(target=_fetch, args=arguments, name="hubcord-pull", daemon=True).start()


def _fetch(pull: Pull, model_filter: ModelFilter, trusted: Container[str], loop: asyncio.AbstractEventLoop) -> None:
    try:
        end: str | Exception = find_model(pull.reference, pull.hear, model_filter, trusted).shown
    except Exception as error:  # noqa: BLE001 - told where the end is waited for
        end = error
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(pull.end, end)
