"""Test that a failing batch harms nobody who isn't at fault."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from bot.errors import BadInput, ModelUnavailable, OutOfMemory
from bot.inference.batch import BatchRun
from bot.inference.device import Device
from bot.inference.messages import Batch, BatchItem
from bot.inference.models import ModelCache
from bot.inference.pipeline import Context, Failure, Outcome, Result
from bot.inference.pipelines.sentiment import SentimentRequest

CPU = Device("cpu", threads=1)


class Line:
    """Be a way back that nobody listens to."""

    connection: Any = None

    def __init__(self) -> None:
        self.cancelled: set[str] = set()


class ScriptedPipeline:
    """Run batches by a function of their texts, and remember them."""

    def __init__(self, answer: Callable[[list[str]], Sequence[Result | Exception]]) -> None:
        self._answer = answer
        self.batches: list[list[str]] = []

    def run(self, requests: Sequence[Any], context: Context) -> Sequence[Result | Exception]:  # noqa: ARG002
        texts = [request.text for request in requests]
        self.batches.append(texts)
        return self._answer(texts)


def outcomes(pipeline: ScriptedPipeline, texts: str) -> list[Outcome]:
    items = tuple(BatchItem(text, SentimentRequest(model="m", text=text)) for text in texts)
    cache = ModelCache(CPU, budget_bytes=1, idle_unload_s=1.0)
    run = BatchRun(Batch("sentiment", items), pipeline, cache, CPU, Line())
    return list(run.report(time.monotonic()).outcomes)


def fine(texts: list[str]) -> list[Result | Exception]:
    return [Result(model=text) for text in texts]


def test_only_the_culprit_fails() -> None:
    def answer(texts: list[str]) -> list[Result | Exception]:
        if "x" in texts:
            raise RuntimeError("deep inside")
        return fine(texts)

    a, x, b = outcomes(ScriptedPipeline(answer), "axb")
    assert (a, b) == (Result(model="a"), Result(model="b"))
    assert isinstance(x, Failure)
    assert "deep inside" in x.traceback


def test_errors_in_place_are_kept() -> None:
    error = BadInput("not this")
    assert outcomes(ScriptedPipeline(lambda _: [Result(model="a"), error]), "ab") == [Result(model="a"), Failure(error)]


def test_out_of_memory_halves_the_batch_and_lets_go_of_the_memory() -> None:
    import torch

    held: list[weakref.ref[Any]] = []

    def answer(texts: list[str]) -> list[Result | Exception]:
        assert all(tensor() is None for tensor in held), "the failed attempt's tensors are still there"
        if len(texts) > 1:
            tensor = torch.zeros(8)
            held.append(weakref.ref(tensor))
            raise torch.OutOfMemoryError
        return fine(texts)

    pipeline = ScriptedPipeline(answer)
    assert outcomes(pipeline, "abc") == fine(list("abc"))
    assert [len(batch) for batch in pipeline.batches] == [3, 1, 2, 1, 1]
    assert len(held) == 2


def test_one_that_never_fits_is_told_so() -> None:
    def answer(_: list[str]) -> list[Result | Exception]:
        raise MemoryError

    (failure,) = outcomes(ScriptedPipeline(answer), "a")
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, OutOfMemory)


def test_a_missing_model_is_looked_for_once() -> None:
    def answer(_: list[str]) -> list[Result | Exception]:
        raise ModelUnavailable("not here")

    pipeline = ScriptedPipeline(answer)
    assert [isinstance(o, Failure) and str(o.error) for o in outcomes(pipeline, "abcd")] == ["not here"] * 4
    assert len(pipeline.batches) == 1


def test_too_few_answers_fail_nobody_else() -> None:
    pipeline = ScriptedPipeline(lambda texts: fine(texts)[:1])
    assert outcomes(pipeline, "ab") == fine(["a", "b"])
