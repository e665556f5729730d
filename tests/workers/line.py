"""Run batches in this process, as a worker does, and keep what the bot would hear of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bot.machine.device import Device
from bot.tasks.base import Pipeline, Request
from bot.workers.batch_runner import BatchRun
from bot.workers.model_cache import ModelCache
from bot.workers.protocol import Answered, Batch, BatchItem, BatchReport, Drafted, Event, Progress

CPU = Device("cpu", threads=1, precision="fp32")


class Line:
    """Be a way back to a parent that keeps what it was told. When the batch gives way, `between` is called."""

    def __init__(self, between: Callable[[], object] = lambda: None, *, stopped: Iterable[str] = ()) -> None:
        self.answers: dict[str, Answered] = {}
        self.drafts: dict[str, Drafted] = {}
        self.steps: list[tuple[int, int]] = []
        self.stopped = set(stopped)
        self._between = between

    def send(self, *events: Event) -> None:
        for event in events:
            if isinstance(event, Answered):
                assert event.job_id not in self.answers, "a job was answered twice"
                self.answers[event.job_id] = event
            elif isinstance(event, Drafted):
                self.drafts[event.job_id] = event
            elif isinstance(event, Progress):
                self.steps.append((event.step, event.steps))

    def cancelled(self, job_id: str) -> bool:
        return job_id in self.stopped

    def preprocessed(self, job_id: str) -> Any:  # noqa: ARG002
        return None

    def yield_to_short_jobs(self) -> float:
        self._between()
        return 0.0


def report_of(
    pipeline: Pipeline,
    requests: Sequence[Request],
    line: Line,
    cache: ModelCache | None = None,
    *,
    device: Device = CPU,
) -> BatchReport:
    """Run requests together; each is a job whose id is its place, as text."""
    items = tuple(BatchItem(str(place), request) for place, request in enumerate(requests))
    return BatchRun(Batch("task", items), pipeline, cache or new_cache(), device, line).report()


def outcomes_of(
    pipeline: Pipeline, requests: Sequence[Request], line: Line | None = None, cache: ModelCache | None = None
) -> list[Any]:
    """Return what became of requests that run together: results and failures."""
    line = line or Line()
    report_of(pipeline, requests, line, cache)
    return [line.answers[str(place)].outcome for place in range(len(requests))]


def new_cache() -> ModelCache:
    """Return an empty cache with room for small models."""
    return ModelCache(CPU, budget_bytes=1 << 30, idle_unload_s=60.0)
