"""Run one batch so that a bad item, a full device or a cancelled job harms nobody else."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from bot.errors import JobCancelled, ModelUnavailable, UserError
from bot.hub.model_filter import ModelFilter
from bot.machine.device import Device, DeviceBroken, is_out_of_memory
from bot.tasks.base import Failure, Loaded, Outcome, Pipeline, Request, Result
from bot.workers.model_cache import ModelCache
from bot.workers.protocol import (
    Answered,
    Batch,
    BatchItem,
    BatchReport,
    Drafted,
    Event,
    Loading,
    Progress,
    Started,
)

if TYPE_CHECKING:
    from bot.hub.resolve import ModelFiles

Model = TypeVar("Model")


class Line(Protocol):
    """Be the way back to the parent, and know what came from there."""

    def send(self, *events: Event) -> None:
        """Tell the parent something about this batch, together."""

    def cancelled(self, job_id: str) -> bool:
        """Say whether a job was stopped."""

    def preprocessed(self, job_id: str) -> Any:
        """Return what was made of a job ahead of time, an error perhaps, or None."""

    def yield_to_short_jobs(self) -> float:
        """Run the short batches that wait; return the seconds that they took."""


class BatchRun:
    """Run one batch with a pipeline and tell each job's outcome as soon as it is known."""

    def __init__(self, batch: Batch, pipeline: Pipeline, cache: ModelCache, device: Device, line: Line) -> None:
        self._items = batch.items
        self._pipeline = pipeline
        self._cache = cache
        self._device = device
        self._line = line
        self._clock = _DeviceClock(cache)

    def report(self) -> BatchReport:
        """Run everything; never raise what a pipeline raises, but DeviceBroken when it has spoiled the device."""
        with self._cache.in_use() as loading_s:
            self._clock.start(loading_s)
            self._answer(self._items)
        return BatchReport(self._clock.total_s, self._cache.sizes, loading_s)

    def _answer(self, items: Sequence[BatchItem], *, relieved: bool = False) -> None:
        """Answer all items. `relieved`: what else is in memory was unloaded already."""
        waiting = dict(enumerate(items))
        context = BatchContext(items, self._pipeline, self._cache, self._device, self._line, self._clock)
        try:
            for answers in self._pipeline.run([_request(item) for item in items], context):
                self._tell([(waiting.pop(index), _outcome(answer)) for index, answer in answers.items()])
            if waiting:
                raise RuntimeError(f"{len(waiting)} of {len(items)} requests got no answer")  # noqa: TRY301
        except Exception as error:  # the worker's edge: whatever a model raises stays with its job
            if not isinstance(error, UserError) and self._device.is_broken():
                raise DeviceBroken from error
            full, failure = is_out_of_memory(error), _outcome(error)
            hopeless = isinstance(error, ModelUnavailable | JobCancelled)
        else:
            return
        # Here the error is gone, and with its traceback the tensors of the frames that it came from.
        alone = len(items) == 1
        self._recover(list(waiting.values()), failure, alone=alone, full=full, hopeless=hopeless, relieved=relieved)

    def _recover(
        self, left: list[BatchItem], failure: Outcome, *, alone: bool, full: bool, hopeless: bool, relieved: bool
    ) -> None:
        """Try what is left of a failed batch again: with more memory, in halves, with less need; else tell why not."""
        if hopeless:
            self._tell([(item, failure) for item in left])
        elif full and not relieved and self._cache.unload_others():
            self._answer(left, relieved=True)
        elif not alone:
            middle = len(left) // 2
            for half in filter(None, (left[:middle], left[middle:])):
                self._answer(half, relieved=relieved)
        elif full and self._pipeline.save_memory(_request(left[0]), self._cache.peek):
            self._answer(left, relieved=relieved)
        else:
            told = Failure(self._pipeline.too_large(_request(left[0]), self._cache.peek)) if full else failure
            self._tell([(left[0], told)])

    def _tell(self, outcomes: Iterable[tuple[BatchItem, Outcome]]) -> None:
        """Tell outcomes; what the device computed since the last ones is shared among them by their work."""
        told = list(outcomes)
        shares = _shares(self._clock.lap(), [item for item, _ in told])
        self._line.send(*(Answered(item.job_id, o, share) for (item, o), share in zip(told, shares, strict=True)))


class _DeviceClock:
    """Count the seconds that the device worked for one batch: without loading, and without what it gave way to."""

    def __init__(self, cache: ModelCache) -> None:
        self._cache = cache
        self._loading_s: dict[str, float] = {}
        self._counted_s = self.away_s = 0.0
        self._started = time.monotonic()

    def start(self, loading_s: dict[str, float]) -> None:
        """Start; `loading_s` grows as models are loaded."""
        self._loading_s, self._started = loading_s, time.monotonic()

    @property
    def total_s(self) -> float:
        """Return the seconds until now."""
        return max(time.monotonic() - self._started - self.away_s - sum(self._loading_s.values()), 0.0)

    @property
    def lap_s(self) -> float:
        """Return the seconds since the last lap."""
        return max(self.total_s - self._counted_s, 0.0)

    def lap(self) -> float:
        """Return the seconds since the last lap, and begin another one."""
        seconds = self.lap_s
        self._counted_s += seconds
        return seconds


class BatchContext:
    """Serve one call of a pipeline (`bot.tasks.base.Context`)."""

    def __init__(
        self,
        items: Sequence[BatchItem],
        pipeline: Pipeline,
        cache: ModelCache,
        device: Device,
        line: Line,
        clock: _DeviceClock,
    ) -> None:
        self.device = device
        self._items = items
        self._pipeline = pipeline
        self._cache = cache
        self._line = line
        self._clock = clock

    def load(
        self, reference: str, loader: Callable[[ModelFiles, Device], Model], model_filter: ModelFilter | None = None
    ) -> Model:
        """Return a model, loaded if it isn't in memory; raise ModelUnavailable."""
        if self._cache.peek(reference) is None:
            self._line.send(Loading(reference))
        model: Model = self._cache.get(
            reference,
            loader,
            lambda done, total: self._hear(reference, done, total),
            model_filter or self._pipeline.model_filter,
            self.yield_to_short_jobs,
        )
        self._line.send(Started())
        return model

    def preprocessed(
        self, loader: Callable[[ModelFiles, Device], Any]
    ) -> tuple[dict[int, Any], dict[int, Result | Exception]]:
        """Return what was made of each request, ahead of time or now, and the errors of the others."""
        ready: dict[int, Any] = {}
        errors: dict[int, Result | Exception] = {}
        for index, item in enumerate(self._items):
            made = self._line.preprocessed(item.job_id)
            if made is None:
                made = preprocess(self._pipeline, _request(item), lambda reference: self.load(reference, loader))
            (errors if isinstance(made, UserError) else ready)[index] = made
        return ready, errors

    def progress(self, index: int, step: int, steps: int) -> None:
        """Report that `step` of `steps` is done."""
        self._line.send(Progress(self._items[index].job_id, step, steps))

    def draft(self, results: Mapping[int, Result]) -> None:
        """Hand in results that will do. Their time is counted again with the answers."""
        items = [self._items[index] for index in results]
        drafts = zip(items, results.values(), _shares(self._clock.lap_s, items), strict=True)
        self._line.send(*(Drafted(item.job_id, result, share) for item, result, share in drafts))

    def yield_to_short_jobs(self) -> float:
        """Let short jobs run that wait for this device; return the seconds that they took."""
        seconds = self._line.yield_to_short_jobs()
        self._clock.away_s += seconds
        return seconds

    def cancelled(self, index: int) -> bool:
        """Say whether somebody stopped this job."""
        return self._line.cancelled(self._items[index].job_id)

    def _hear(self, reference: str, done: int, total: int) -> None:
        """Tell how far a download is; stop it when nobody waits for it any more."""
        if all(self._line.cancelled(item.job_id) for item in self._items):
            raise JobCancelled("Cancelled.")
        self._line.send(Loading(reference, done / total if done < total else None))


def preprocess(pipeline: Pipeline, request: Request, loaded: Loaded) -> Any:
    """Return what a pipeline makes of a request, or the UserError that says why it can't be answered."""
    try:
        return pipeline.preprocess(request, loaded)
    except ModelUnavailable:
        raise
    except UserError as error:
        return error


def _shares(seconds: float, items: Sequence[BatchItem]) -> list[float]:
    """Share seconds out among the jobs that took them, by their work."""
    work = [_request(item).work for item in items]
    return [seconds * one / (sum(work) or 1.0) for one in work]


def _request(item: BatchItem) -> Request:
    if item.request is None:
        raise RuntimeError(f"the request of job {item.job_id} never came")
    return item.request


def _outcome(answer: Result | Exception) -> Outcome:
    if isinstance(answer, Result):
        return answer
    if isinstance(answer, UserError):
        return Failure(answer)
    return Failure(traceback="".join(traceback.format_exception(answer)))
