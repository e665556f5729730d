"""Caption pictures that were just made, with the default model of /describe."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bot.errors import JobCancelled, ModelUnavailable, one_line
from bot.hub.access import model_unavailable
from bot.hub.model_filter import ModelFilter
from bot.hub.reference import parse_reference
from bot.hub.resolve import is_here
from bot.tasks.base import Answers, Context, Result
from bot.tasks.describe.pipeline import DescribePipeline
from bot.tasks.describe.task import DescribeRequest, DescribeResult, DescribeSettings
from bot.tasks.imagine.task import ImagineResult, Picture
from bot.workers.background_load import Loader

log = logging.getLogger(__name__)
WRITING_S = 10.0
"""How long the captions of pictures that are described together may take, without the loading of the model."""
_REST = 10.0
"""How many times as long as a try in vain took no other is made."""
_Shown = Sequence[tuple[int, Picture]]
"""Pictures, each with the index of the request that it is for."""
_Captions = dict[tuple[int, int], str]
"""Captions by a request's index and a picture's seed."""


class Captioner:
    """Write captions. A picture has none when anything goes wrong with that; the log says why, once."""

    def __init__(self, settings: DescribeSettings) -> None:
        self._model = settings.choose(None)
        self._max_rows = settings.max_rows
        self._pipeline = DescribePipeline(settings)
        self._rests_until = 0.0
        self._told: type[Exception] | None = None

    def captioned(self, answers: Answers, context: Context) -> Answers:
        """Return answers whose pictures have captions; those without are drafts, since a worker may die of captions."""
        results = {index: answer for index, answer in answers.items() if isinstance(answer, ImagineResult)}
        shown = [(index, p) for index, result in results.items() for p in result.pictures if not p.withheld]
        if not shown or time.monotonic() < self._rests_until:
            return answers
        context.draft(results)
        captions = self._captions(shown, context)
        done: dict[int, Result | Exception] = {
            index: JobCancelled("Cancelled.") if context.cancelled(index) else _with(captions, index, result)
            for index, result in results.items()
        }
        return {**answers, **done}

    def _captions(self, shown: _Shown, context: Context) -> _Captions:
        """Return what could be written. After a failure it rests, so that few pictures wait in vain."""
        captions: _Captions = {}
        started = time.monotonic()
        try:
            for start in range(0, len(shown), self._max_rows):
                self._write(captions, shown[start : start + self._max_rows], context)
        except JobCancelled:
            return captions
        except Exception as error:  # noqa: BLE001 - whatever a model raises, the pictures are there
            self._tell(error)
        else:
            return captions
        # Here the error is gone, and with its traceback the tensors of the frames that it came from.
        context.device.empty_cache()
        ended = time.monotonic()
        self._rests_until = ended + _REST * (ended - started)
        return captions

    def _write(self, captions: _Captions, part: _Shown, context: Context) -> None:
        """Add captions as they are written; raise what the model raises, or TimeoutError.

        Nothing is fetched, which would take too long for who waits for a picture.
        """
        reference = parse_reference(self._model)
        if reference.scheme == "hf" and not is_here(self._model):
            raise model_unavailable(reference, f"It isn't here yet. `hubcord models pull {self._model}` fetches it.")
        requests = [DescribeRequest(model=self._model, image=picture.png) for _, picture in part]
        inner = _Inner(context, self._pipeline, requests, [index for index, _ in part])
        for answers in self._pipeline.run(requests, inner):
            for number, answer in answers.items():
                if isinstance(answer, DescribeResult):
                    index, picture = part[number]
                    captions[index, picture.seed] = answer.text
        if inner.is_late:
            raise TimeoutError(f"the captions take more than {WRITING_S:.0f} s")

    def _tell(self, error: Exception) -> None:
        if type(error) is not self._told:
            why = error.values["hint"] if isinstance(error, ModelUnavailable) else one_line(error)
            log.warning("pictures have their prompt as alternative text, since they can't be described: %s", why)
        self._told = type(error)


def _with(captions: _Captions, index: int, result: ImagineResult) -> ImagineResult:
    pictures = (replace(picture, caption=captions.get((index, picture.seed), "")) for picture in result.pictures)
    return replace(result, pictures=tuple(pictures))


class _Inner:
    """Let /describe's pipeline run inside of a batch of pictures (`bot.tasks.base.Context`).

    `jobs` are the indices of those that the pictures are for. Between tokens it gives way, and ends when it `is_late`.
    """

    def __init__(
        self, context: Context, pipeline: DescribePipeline, requests: Sequence[DescribeRequest], jobs: Sequence[int]
    ) -> None:
        self.device = context.device
        self._context = context
        self._pipeline = pipeline
        self._requests = requests
        self._jobs = jobs
        self._ends_at = float("inf")

    @property
    def is_late(self) -> bool:
        """Say whether the time is over."""
        return time.monotonic() > self._ends_at

    def load(self, reference: str, loader: Loader, model_filter: ModelFilter | None = None) -> Any:
        """Return the model; from then on the time counts."""
        model = self._context.load(reference, loader, model_filter or self._pipeline.model_filter)
        self._ends_at = time.monotonic() + WRITING_S
        return model

    def preprocessed(self, _loader: Loader) -> tuple[dict[int, Any], dict[int, Result | Exception]]:
        """Return the pictures, decoded."""
        return {n: self._pipeline.preprocess(r, lambda _: None) for n, r in enumerate(self._requests)}, {}

    def cancelled(self, index: int) -> bool:
        """Say whether nobody waits for a caption any more. It is asked after each token."""
        self._ends_at += self.yield_to_short_jobs()
        return self.is_late or self._context.cancelled(self._jobs[index])

    def yield_to_short_jobs(self) -> float:
        """Let short jobs run that wait for this device."""
        return self._context.yield_to_short_jobs()

    def draft(self, _results: object) -> None:
        """Captions alone are no answer."""

    def progress(self, _index: int, _step: int, _steps: int) -> None:
        """Captions have no steps."""
