"""Run one batch so that a bad item, a full device or a cancelled job harms no other job.

`BatchRun` is the model runner's step: it calls a task's pipeline, sends each answer at once, and tries what failed
again, in halves and with less memory.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from bot.errors import JobCancelled, ModelUnavailable, UserError
from bot.hub.model_filter import ModelFilter
from bot.machine.device import Device, DeviceBroken, is_out_of_memory
from bot.tasks.base import Failure, Loaded, Outcome, Pipeline, Request, Result, stop_requested
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
    portable,
)

if TYPE_CHECKING:
    from bot.hub.resolve import ModelFiles

Model = TypeVar("Model")


class BatchChannel(Protocol):
    """Connect a running batch with the bot process."""

    def send(self, *events: Event) -> None:
        """Send events of this batch in one message."""

    def cancelled(self, job_id: str) -> bool:
        """Say whether a job was stopped."""

    def preprocessed(self, job_id: str) -> Any:
        """Return the input that was preprocessed ahead of time, or its UserError; None when there is neither."""

    def yield_to_short_jobs(self) -> float:
        """Run the short batches that wait; return the seconds that they took."""


class BatchRun:
    """Run one batch with a pipeline; send each job's outcome as soon as it is known."""

    def __init__(
        self, batch: Batch, pipeline: Pipeline, cache: ModelCache, device: Device, channel: BatchChannel
    ) -> None:
        self._items = batch.items
        self._pipeline = pipeline
        self._cache = cache
        self._device = device
        self._channel = channel
        self._clock = _DeviceClock(cache)

    def report(self) -> BatchReport:
        """Run everything; never raise what a pipeline raises, but DeviceBroken when it has spoiled the device."""
        with self._cache.in_use() as loading_s:
            self._clock.start(loading_s)
            self._answer(self._items)
        return BatchReport(self._clock.total_s, self._cache.sizes, loading_s)

    def _answer(self, items: Sequence[BatchItem], *, evicted: bool = False) -> None:
        """Answer all items. `evicted`: all unused models were unloaded already."""
        waiting = dict(enumerate(items))
        context = BatchContext(items, self._pipeline, self._cache, self._device, self._channel, self._clock)
        try:
            for answers in self._pipeline.run([_request(item) for item in items], context):
                self._send([(waiting[index], _outcome(answer)) for index, answer in answers.items()])
                for index in answers:
                    del waiting[index]
            if waiting:
                raise RuntimeError(f"{len(waiting)} of {len(items)} requests got no answer")  # noqa: TRY301
        except Exception as error:  # the worker's edge: whatever a model raises stays with its job
            if not isinstance(error, UserError) and self._device.is_broken():
                raise DeviceBroken from error
            oom, failure = is_out_of_memory(error), _outcome(error)
            retryable = not isinstance(error, ModelUnavailable | JobCancelled)
        else:
            return
        # Here the error is gone, and with its traceback the tensors of the frames that it came from.
        single = len(items) == 1
        self._recover(list(waiting.values()), failure, single=single, oom=oom, retryable=retryable, evicted=evicted)

    def _recover(
        self, left: list[BatchItem], failure: Outcome, *, single: bool, oom: bool, evicted: bool, retryable: bool
    ) -> None:
        """Try what is left of a failed batch again: with more free memory, in halves, in less memory; else fail it."""
        if not retryable:
            self._send([(item, failure) for item in left])
        elif oom and not evicted and self._cache.evict_unused():
            self._answer(left, evicted=True)
        elif not single:
            middle = len(left) // 2
            for half in filter(None, (left[:middle], left[middle:])):
                self._answer(half, evicted=evicted)
        elif oom and self._pipeline.save_memory(_request(left[0]), self._cache.peek):
            self._answer(left, evicted=evicted)
        else:
            too_large = _outcome(self._pipeline.too_large(_request(left[0]), self._cache.peek)) if oom else failure
            self._send([(left[0], too_large)])

    def _send(self, outcomes: Sequence[tuple[BatchItem, Outcome]]) -> None:
        """Send outcomes. The device seconds since the last ones are shared among them by their work."""
        shares = _shares(self._clock.lap(), [item for item, _ in outcomes])
        pairs = zip(outcomes, shares, strict=True)
        self._channel.send(*(Answered(item.job_id, outcome, share) for (item, outcome), share in pairs))


class _DeviceClock:
    """Count the device seconds of one batch: without the loading of models, and without interleaved batches."""

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
        channel: BatchChannel,
        clock: _DeviceClock,
    ) -> None:
        self.device = device
        self._items = items
        self._pipeline = pipeline
        self._cache = cache
        self._channel = channel
        self._clock = clock

    def load(
        self, reference: str, loader: Callable[[ModelFiles, Device], Model], model_filter: ModelFilter | None = None
    ) -> Model:
        """Return a model, loaded if it isn't in memory; raise ModelUnavailable."""
        if self._cache.peek(reference) is None:
            self._channel.send(Loading(reference))
        model: Model = self._cache.get(
            reference,
            loader,
            lambda done, total: self._on_fetch(reference, done, total),
            model_filter or self._pipeline.model_filter,
            self.yield_to_short_jobs,
        )
        self._channel.send(Started())
        return model

    def preprocessed(
        self, loader: Callable[[ModelFiles, Device], Any]
    ) -> tuple[dict[int, Any], dict[int, Result | Exception]]:
        """Return the preprocessed input of each request, and the errors of the others."""
        ready: dict[int, Any] = {}
        errors: dict[int, Result | Exception] = {}
        for index, item in enumerate(self._items):
            made = self._channel.preprocessed(item.job_id)
            if made is None:
                cancelled = partial(self._channel.cancelled, item.job_id)
                made = preprocess(self._pipeline, _request(item), lambda name: self.load(name, loader), cancelled)
            (errors if isinstance(made, UserError) else ready)[index] = made
        return ready, errors

    def progress(self, index: int, step: int, steps: int) -> None:
        """Report that `step` of `steps` is done."""
        self._channel.send(Progress(self._items[index].job_id, step, steps))

    def draft(self, results: Mapping[int, Result]) -> None:
        """Hand in results that will do. Their time is counted again with the answers."""
        items = [self._items[index] for index in results]
        drafts = zip(items, results.values(), _shares(self._clock.lap_s, items), strict=True)
        self._channel.send(*(Drafted(item.job_id, result, share) for item, result, share in drafts))

    def yield_to_short_jobs(self) -> float:
        """Let short jobs run that wait for this device; return the seconds that they took."""
        seconds = self._channel.yield_to_short_jobs()
        self._clock.away_s += seconds
        return seconds

    def cancelled(self, index: int) -> bool:
        """Say whether somebody stopped this job."""
        return self._channel.cancelled(self._items[index].job_id)

    def _on_fetch(self, reference: str, done: int, total: int) -> None:
        """Report the progress of a download; stop it when all jobs of the batch were cancelled."""
        if all(self._channel.cancelled(item.job_id) for item in self._items):
            raise JobCancelled("Cancelled.")
        self._channel.send(Loading(reference, done / total if done < total else None))


def preprocess(pipeline: Pipeline, request: Request, loaded: Loaded, cancelled: Callable[[], bool]) -> Any:
    """Return the input that a pipeline makes of a request, or the UserError that says why it can't be answered."""
    token = stop_requested.set(cancelled)
    try:
        return pipeline.preprocess(request, loaded)
    except ModelUnavailable:
        raise
    except UserError as error:
        return error
    finally:
        stop_requested.reset(token)


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
        return Failure(portable(answer))
    return Failure(traceback="".join(traceback.format_exception(answer)))
