"""Make pictures in this process, as a worker does."""

from __future__ import annotations

import io
import json
from typing import Any

from PIL import Image

from bot.tasks.base import Failure
from bot.tasks.describe.task import DescribeSettings
from bot.tasks.imagine.pipeline import ImaginePipeline
from bot.tasks.imagine.task import ImagineRequest, ImagineResult, ImagineSettings
from tests.workers.line import Line, new_cache, outcomes_of


class Studio:
    """Run batches of requests for pictures on models that stay loaded."""

    def __init__(self, settings: ImagineSettings, describe: DescribeSettings | None = None) -> None:
        self.settings = settings
        self.models = new_cache()
        self._pipeline = ImaginePipeline(settings, describe)

    def request(self, prompt: str = "a cat", *, model: str | None = None, **options: Any) -> ImagineRequest:
        """Build a request as the command does."""
        options = {"seed": 1, "steps": 2} | options
        return self.settings.request(prompt, model=model or self.settings.models[0], **options)

    def outcomes(self, *requests: ImagineRequest, line: Line | None = None) -> list[Any]:
        """Return what became of a batch: results and failures."""
        return outcomes_of(self._pipeline, requests, line, self.models)

    def paint(self, prompt: str = "a cat", *, line: Line | None = None, **options: Any) -> ImagineResult:
        """Return the result of one request."""
        (result,) = self.outcomes(self.request(prompt, **options), line=line)
        assert isinstance(result, ImagineResult), result
        return result

    def refusal(self, **options: Any) -> Exception:
        """Return the error of one request."""
        (failure,) = self.outcomes(self.request(**options))
        assert isinstance(failure, Failure), failure
        assert failure.error is not None, failure.traceback
        return failure.error


def pixels(result: ImagineResult) -> bytes:
    """Return the first picture's pixels."""
    return Image.open(io.BytesIO(result.pictures[0].png)).tobytes()


def parameters(result: ImagineResult) -> tuple[dict[str, Any], str]:
    """Return what the first picture's file says of how it was made: hubcord's form, and the one of other tools."""
    text: dict[str, str] = Image.open(io.BytesIO(result.pictures[0].png)).text  # type: ignore[attr-defined]
    return json.loads(text["hubcord"]), text["parameters"]
