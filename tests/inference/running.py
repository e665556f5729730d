"""Run batches of a pipeline in this process, on real models, without a worker."""

from __future__ import annotations

import io
from collections.abc import Container, Sequence
from typing import Any

from PIL import Image

from bot.errors import UserError
from bot.inference.batch import BatchRun
from bot.inference.device import Device
from bot.inference.messages import Answered, Batch, BatchItem, Event
from bot.inference.models import ModelCache
from bot.inference.pipeline import Failure, Pipeline, Request

CPU = Device("cpu", threads=1, precision="fp32")


class _Line:
    """Be a way back to a parent that keeps the outcomes."""

    def __init__(self, stopped: Container[str]) -> None:
        self.outcomes: dict[str, Any] = {}
        self._stopped = stopped

    def send(self, *events: Event) -> None:
        self.outcomes |= {event.job_id: event.outcome for event in events if isinstance(event, Answered)}

    def cancelled(self, job_id: str) -> bool:
        return job_id in self._stopped

    def prepared(self, job_id: str) -> Any:  # noqa: ARG002
        return None

    def give_way(self) -> float:
        return 0.0


def run_batch(pipeline: Pipeline, requests: Sequence[Request], stopped: Container[str] = ()) -> list[Any]:
    """Return the results of requests that run together, and the errors for people in their place.

    `stopped` are the places in the batch, as text, of those that somebody stopped.
    """
    line, cache = _Line(stopped), ModelCache(CPU, budget_bytes=1 << 30, idle_unload_s=60.0)
    items = tuple(BatchItem(str(place), request) for place, request in enumerate(requests))
    BatchRun(Batch("task", items), pipeline, cache, CPU, line).report()
    return [_told(line.outcomes[item.job_id]) for item in items]


def _told(outcome: Any) -> Any:
    if not isinstance(outcome, Failure):
        return outcome
    assert isinstance(outcome.error, UserError), outcome.traceback
    return outcome.error


def photo(width: int, height: int, *, angle: int = 0, **options: Any) -> bytes:
    """Return a PNG file of soft shapes, others for each angle."""
    image = Image.radial_gradient("L").rotate(angle, expand=True, fillcolor=angle).convert("L")
    bands = (image, image.rotate(90 + angle), Image.linear_gradient("L").resize(image.size))
    file = io.BytesIO()
    Image.merge("RGB", bands).resize((width, height)).save(file, "PNG", **options)
    return file.getvalue()
