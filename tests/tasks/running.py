"""Run batches of a pipeline in this process, on real models, without a worker."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image

from bot.errors import UserError
from bot.tasks.base import Failure, Pipeline, Request
from tests.workers.line import Line, outcomes_of


def run_batch(pipeline: Pipeline, requests: Sequence[Request], stopped: Iterable[str] = ()) -> list[Any]:
    """Return the results of requests that run together, and the errors for people in their place.

    `stopped` are the places in the batch, as text, of those that somebody stopped.
    """
    return [_told(outcome) for outcome in outcomes_of(pipeline, requests, Line(stopped=stopped))]


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
