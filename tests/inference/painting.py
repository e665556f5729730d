"""Make pictures in this process, as a worker does."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

from PIL import Image

from bot.inference.batch import BatchRun
from bot.inference.device import Device
from bot.inference.diffusion.pipeline import ImaginePipeline
from bot.inference.messages import Answered, Batch, BatchItem, Drafted, Event, Progress
from bot.inference.models import ModelCache
from bot.inference.pipeline import Failure
from bot.inference.pipelines.describe import DescribeSettings
from bot.inference.pipelines.imagine import ImagineRequest, ImagineResult, ImagineSettings

CPU = Device("cpu", threads=1)


class Line:
    """Be a way back to a parent that keeps the pictures; at every step `between` is called."""

    def __init__(self, between: Callable[[], object] = lambda: None) -> None:
        self.results: dict[str, Any] = {}
        self.drafts: dict[str, Any] = {}
        self.steps: list[tuple[int, int]] = []
        self.stopped: set[str] = set()
        self._between = between

    def send(self, *events: Event) -> None:
        self.results |= {event.job_id: event.outcome for event in events if isinstance(event, Answered)}
        self.drafts |= {event.job_id: event.result for event in events if isinstance(event, Drafted)}
        self.steps += [(event.step, event.steps) for event in events if isinstance(event, Progress)]

    def cancelled(self, job_id: str) -> bool:
        return job_id in self.stopped

    def prepared(self, job_id: str) -> Any:  # noqa: ARG002
        return None

    def give_way(self) -> float:
        self._between()
        return 0.0


class Studio:
    """Run batches of requests for pictures on models that stay loaded."""

    def __init__(self, settings: ImagineSettings, describe: DescribeSettings | None = None) -> None:
        self.settings = settings
        self.models = ModelCache(CPU, budget_bytes=1 << 30, idle_unload_s=60.0)
        self._pipeline = ImaginePipeline(settings, describe)

    def request(self, prompt: str = "a cat", *, model: str | None = None, **options: Any) -> ImagineRequest:
        """Build a request as the command does."""
        options = {"seed": 1, "steps": 2} | options
        return self.settings.request(prompt, model=model or self.settings.models[0], **options)

    def outcomes(self, *requests: ImagineRequest, line: Line | None = None) -> list[Any]:
        """Return what became of a batch: results and failures."""
        line = line or Line()
        items = tuple(BatchItem(str(index), request) for index, request in enumerate(requests))
        BatchRun(Batch("imagine", items), self._pipeline, self.models, CPU, line).report()
        return [line.results[item.job_id] for item in items]

    def paint(self, prompt: str = "a cat", *, line: Line | None = None, **options: Any) -> ImagineResult:
        """Return the result of one request."""
        (result,) = self.outcomes(self.request(prompt, **options), line=line)
        assert isinstance(result, ImagineResult), result
        return result

    def refusal(self, prompt: str = "a cat", **options: Any) -> Exception:
        """Return the error of one request."""
        (failure,) = self.outcomes(self.request(prompt, **options))
        assert isinstance(failure, Failure), failure
        assert failure.error is not None, failure.traceback
        return failure.error


def pixels(result: ImagineResult, number: int = 0) -> bytes:
    """Return a picture's pixels."""
    return Image.open(io.BytesIO(result.pictures[number].png)).tobytes()


def parameters(result: ImagineResult) -> tuple[dict[str, Any], str]:
    """Return what the first picture's file says of how it was made: hubcord's form, and the one of other tools."""
    text: dict[str, str] = Image.open(io.BytesIO(result.pictures[0].png)).text  # type: ignore[attr-defined]
    return json.loads(text["hubcord"]), text["parameters"]
