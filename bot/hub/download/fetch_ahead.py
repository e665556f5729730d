"""Fetch models while the bot serves with others already."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from bot.config import Settings
from bot.errors import JobCancelled, ModelUnavailable
from bot.hub.download.process import fetch_apart
from bot.hub.model_filter import ModelFilter
from bot.hub.reference import parse_reference
from bot.machine.background import BackgroundTasks
from bot.tasks.registry import TASKS

log = logging.getLogger(__name__)
_TELL_S, _LOG_FIRST, _LOG_EVERY = 1.0, 2, 5
_MB = 1e6
_FETCHED = {"hf", "torchvision", "torchhub"}


def default_models(settings: Settings) -> Mapping[str, ModelFilter]:
    """Return the default models of all tasks that are fetched, with what their task accepts."""
    if not settings.hub.fetch_at_start:
        return {}
    return {
        reference: TASKS[name].model_filter
        for name, task in settings.tasks.items()
        for reference in task.default_references
        if parse_reference(reference).scheme in _FETCHED
    }


class FetchAhead:
    """Fetch `models` at the same time, each in a process of its own. Those that are there already take a second.

    `tell` hears at once, then about once a second, the share of each model that isn't there yet; at last of none.
    `failed` hears why one can't be had.
    """

    def __init__(
        self,
        models: Mapping[str, ModelFilter],
        tell: Callable[[Mapping[str, float]], None],
        failed: Callable[[ModelUnavailable], None],
        trusted: Container[str] = (),
    ) -> None:
        self._models = models
        self._failed = failed
        self._trusted = trusted
        self._tell = tell
        self._bytes = dict.fromkeys(models, (0, 0))
        self._stopped = threading.Event()
        self._threads = ThreadPoolExecutor(max(len(models), 1), thread_name_prefix="fetch")
        self._background = BackgroundTasks()

    async def __aenter__(self) -> Self:
        self._tell_shares()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._threads.shutdown(wait=False)
        await self._background.close()

    def start(self) -> asyncio.Task[None]:
        """Begin; return the task, which ends when all is fetched or can't be had."""
        return self._background.spawn(self._run(), name="fetch ahead")

    async def _run(self) -> None:
        """Report the downloads until they end. A failure here must hold no job back: its worker fetches the model."""
        try:
            await self._report()
        except Exception:
            self._tell({})
            raise

    async def _report(self) -> None:
        loop = asyncio.get_running_loop()
        fetches = [loop.run_in_executor(self._threads, self._fetch, reference) for reference in self._models]
        seconds = 0
        while waiting := [fetch for fetch in fetches if not fetch.done()]:
            await asyncio.wait(waiting, timeout=_TELL_S, return_when=asyncio.FIRST_COMPLETED)
            self._tell_shares()
            seconds += 1
            if seconds % _LOG_EVERY == _LOG_FIRST:
                self._log()

    def _fetch(self, reference: str) -> None:
        """Fetch one model, in a thread that only listens to the process that does."""

        def hear(done: int, total: int) -> None:
            if self._stopped.is_set():
                raise JobCancelled("Cancelled.")
            self._bytes[reference] = (done, total)

        try:
            fetch_apart(parse_reference(reference), self._models[reference], hear, self._trusted)
            log.info("%s is here", reference)
        except JobCancelled:
            pass
        except ModelUnavailable as error:
            self._failed(error)
        except Exception:
            log.exception("%s can't be fetched", reference)  # its jobs try again in the worker, and say why they fail
        finally:
            self._bytes.pop(reference)

    def _tell_shares(self) -> None:
        self._tell({reference: done / max(total, 1) for reference, (done, total) in list(self._bytes.items())})

    def _log(self) -> None:
        for reference, (done, total) in list(self._bytes.items()):
            if done < total:
                log.info("fetching %s: %.0f %% of %.0f MB", reference, 100 * done / total, total / _MB)
