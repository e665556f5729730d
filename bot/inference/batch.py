"""Run one batch so that a bad item, a full device or a cancelled job harms nobody else."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from bot.errors import ModelUnavailable, OutOfMemory, UserError
from bot.inference.device import Device
from bot.inference.messages import Batch, BatchItem, BatchReport, Loading, Progress, Started
from bot.inference.models import ModelCache
from bot.inference.pipeline import Failure, Outcome, Pipeline, Result

if TYPE_CHECKING:
    from bot.inference.hub import ModelFiles

log = logging.getLogger(__name__)
Loaded = TypeVar("Loaded")


class _Line(Protocol):
    """The way back to the parent, and the ids that it cancelled."""

    connection: Any
    cancelled: set[str]


class BatchRun:
    """Run one batch with a pipeline and report its outcomes."""

    def __init__(self, batch: Batch, pipeline: Pipeline, cache: ModelCache, device: Device, line: _Line) -> None:
        self._batch = batch
        self._pipeline = pipeline
        self._cache = cache
        self._device = device
        self._line = line

    def report(self, started: float) -> BatchReport:
        """Run everything; never raise what a pipeline raises. `started` is `time.monotonic()` at the beginning."""
        self._cache.begin()
        outcomes = self._answer(self._batch.items)
        seconds = time.monotonic() - started - self._cache.loading_s
        return BatchReport(outcomes, max(seconds, 0.0), self._cache.loaded)

    def _answer(self, items: Sequence[BatchItem]) -> list[Outcome]:
        context = _BatchContext(items, self._cache, self._device, self._line)
        try:
            answers = self._pipeline.run([item.request for item in items], context)
            if len(answers) != len(items):
                raise RuntimeError(f"{len(answers)} answers to {len(items)} requests")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - the worker's edge: whatever a model raises stays with its job
            full, failure = _is_out_of_memory(error), _outcome(error)
            hopeless = isinstance(error, ModelUnavailable)
        else:
            return [_outcome(answer) for answer in answers]
        # Here the error is gone, and with its traceback the tensors of the frames that it came from.
        return [failure] * len(items) if hopeless else self._try_again(items, failure, full=full)

    def _try_again(self, items: Sequence[BatchItem], failure: Outcome, *, full: bool) -> list[Outcome]:
        """Give every job of a failed batch another chance, in halves; a single job gets its failure."""
        if full:
            log.warning("out of memory with %d jobs: unloading other models", len(items))
            self._cache.unload_others()
        if len(items) > 1:
            middle = len(items) // 2
            return self._answer(items[:middle]) + self._answer(items[middle:])
        return [Failure(OutOfMemory(_TOO_LARGE)) if full else failure]


_TOO_LARGE = "There isn't enough memory for this. Try a smaller picture, fewer at a time, or a shorter text."


class _BatchContext:
    """Serve one call of a pipeline (`bot.inference.pipeline.Context`)."""

    def __init__(self, items: Sequence[BatchItem], cache: ModelCache, device: Device, line: _Line) -> None:
        self.device = device
        self._items = items
        self._cache = cache
        self._line = line

    def load(self, reference: str, loader: Callable[[ModelFiles, Device], Loaded]) -> Loaded:
        if reference in self._cache.loaded:
            model: Loaded = self._cache.get(reference, loader)
            return model
        self._line.connection.send(Loading(reference))
        model = self._cache.get(reference, loader, lambda share: self._line.connection.send(Loading(reference, share)))
        self._line.connection.send(Started())
        return model

    def progress(self, index: int, step: int, steps: int) -> None:
        self._line.connection.send(Progress(self._items[index].job_id, step, steps))

    def cancelled(self, index: int) -> bool:
        return self._items[index].job_id in self._line.cancelled


def _outcome(answer: Result | Exception) -> Outcome:
    if isinstance(answer, Result):
        return answer
    if isinstance(answer, UserError):
        if "hint" in answer.values:
            log.warning("%s %s", answer, answer.values["hint"])
        return Failure(answer)
    return Failure(traceback="".join(traceback.format_exception(answer)))


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError)
