"""Test that a failing batch harms nobody who isn't at fault."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.errors import BadInput, ModelUnavailable, OutOfMemory, UserError
from bot.inference.batch import BatchRun
from bot.inference.device import Device, DeviceBroken, is_out_of_memory
from bot.inference.hub import ModelFiles
from bot.inference.messages import Answered, Batch, BatchItem, BatchReport, Drafted, Event
from bot.inference.models import ModelCache
from bot.inference.pipeline import Answers, Context, Failure, Loaded, Outcome, Pipeline, Result
from bot.inference.pipelines.sentiment import SentimentRequest
from tests.inference.tiny_models import tiny_sentiment

CPU = Device("cpu", threads=1, precision="fp32")


class Line:
    """Be a way back to a parent that remembers what it was told."""

    def __init__(self) -> None:
        self.answers: dict[str, Answered] = {}

    def send(self, *events: Event) -> None:
        for event in events:
            if isinstance(event, Answered):
                assert event.job_id not in self.answers, "a job was answered twice"
                self.answers[event.job_id] = event

    def cancelled(self, job_id: str) -> bool:  # noqa: ARG002
        return False

    def prepared(self, job_id: str) -> Any:  # noqa: ARG002
        return None

    def give_way(self) -> float:
        time.sleep(0.2)
        return 0.2


class ScriptedPipeline(Pipeline):
    """Run batches by a function of their texts, and remember them."""

    def __init__(self, answer: Callable[[list[str]], Sequence[Result | Exception]]) -> None:
        self._answer = answer
        self.batches: list[list[str]] = []

    def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:  # noqa: ARG002
        texts = [request.text for request in requests]
        self.batches.append(texts)
        yield dict(enumerate(self._answer(texts)))


def told(pipeline: Pipeline, texts: str) -> tuple[list[Answered], BatchReport]:
    items = tuple(BatchItem(text, SentimentRequest(model="m", text=text)) for text in texts)
    line, cache = Line(), ModelCache(CPU, budget_bytes=1, idle_unload_s=1.0)
    report = BatchRun(Batch("sentiment", items), pipeline, cache, CPU, line).report()
    return [line.answers[text] for text in texts], report


def outcomes(pipeline: Pipeline, texts: str) -> list[Outcome]:
    return [answered.outcome for answered in told(pipeline, texts)[0]]


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


class Spoiled(Device):
    """Be a device that no error leaves usable."""

    def is_broken(self) -> bool:
        return True


def test_nothing_is_answered_by_a_device_that_an_error_has_spoiled() -> None:
    def answer(_texts: list[str]) -> list[Result | Exception]:
        raise RuntimeError("CUDA error: device-side assert triggered")

    line, cache = Line(), ModelCache(CPU, budget_bytes=1, idle_unload_s=1.0)
    batch = Batch("sentiment", (BatchItem("a", SentimentRequest(model="m", text="a")),))
    with pytest.raises(DeviceBroken):
        BatchRun(batch, ScriptedPipeline(answer), cache, Spoiled("cuda:0"), line).report()
    assert line.answers == {}


def test_a_sentence_for_people_spoils_no_device() -> None:
    line, cache = Line(), ModelCache(CPU, budget_bytes=1, idle_unload_s=1.0)

    def answer(_texts: list[str]) -> list[Result | Exception]:
        raise BadInput("not this")

    batch = Batch("sentiment", (BatchItem("a", SentimentRequest(model="m", text="a")),))
    BatchRun(batch, ScriptedPipeline(answer), cache, Spoiled("cuda:0"), line).report()
    assert isinstance(line.answers["a"].outcome, Failure)


@pytest.mark.parametrize(("error", "broken"), [(None, False), (RuntimeError("device-side assert"), True)])
def test_cuda_is_asked_whether_it_still_works(
    error: Exception | None, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def synchronize(device: str) -> None:
        assert device == "cuda:0"
        if error is not None:
            raise error

    monkeypatch.setattr("torch.cuda.synchronize", synchronize)
    assert Device("cuda:0").is_broken() is broken
    assert not CPU.is_broken()


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


def test_what_was_answered_before_a_failure_stands() -> None:
    class Failing(ScriptedPipeline):
        def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:  # noqa: ARG002
            self.batches.append([request.text for request in requests])
            yield {0: Result(model=requests[0].text)}
            if len(requests) > 1:
                raise RuntimeError("deep inside")

    pipeline = Failing(fine)
    assert outcomes(pipeline, "abc") == fine(list("abc"))
    assert pipeline.batches == [["a", "b", "c"], ["b"], ["c"]]


def test_seconds_are_shared_by_work_and_leave_out_the_guests() -> None:
    class Slow(ScriptedPipeline):
        def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:
            context.give_way()
            time.sleep(0.04)
            yield {index: Result(model=request.text) for index, request in enumerate(requests)}

    answers, report = told(Slow(fine), "ab")
    assert answers[0].seconds == answers[1].seconds
    assert 0.04 <= sum(answered.seconds for answered in answers) <= report.seconds < 0.2


def test_the_time_of_a_draft_counts_with_the_answer() -> None:
    drafts: list[Drafted] = []

    class Drafting(Line):
        def send(self, *events: Event) -> None:
            drafts.extend(event for event in events if isinstance(event, Drafted))
            super().send(*events)

    class Slow(ScriptedPipeline):
        def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:
            answers = {index: Result(model=request.text) for index, request in enumerate(requests)}
            time.sleep(0.04)
            context.draft(answers)
            time.sleep(0.04)
            yield answers

    items = tuple(BatchItem(text, SentimentRequest(model="m", text=text)) for text in "ab")
    line, cache = Drafting(), ModelCache(CPU, budget_bytes=1, idle_unload_s=1.0)
    BatchRun(Batch("sentiment", items), Slow(fine), cache, CPU, line).report()
    assert [(draft.job_id, draft.result.model) for draft in drafts] == [("a", "a"), ("b", "b")]
    for draft in drafts:
        assert 0.02 <= draft.seconds <= line.answers[draft.job_id].seconds - 0.02


def test_memory_is_saved_before_a_job_fails_and_a_smaller_one_is_named() -> None:
    import torch

    class Hungry(ScriptedPipeline):
        saved = 0

        def save_memory(self, request: Any, loaded: Loaded) -> bool:  # noqa: ARG002
            self.saved += 1
            return self.saved == 1

        def too_large(self, request: Any, loaded: Loaded) -> UserError:  # noqa: ARG002
            return OutOfMemory("Try 64x64.")

    def answer(_: list[str]) -> list[Result | Exception]:
        raise torch.OutOfMemoryError

    pipeline = Hungry(answer)
    (failure,) = outcomes(pipeline, "a")
    assert isinstance(failure, Failure)
    assert str(failure.error) == "Try 64x64."
    assert len(pipeline.batches) == 2


def test_others_are_served_while_a_model_is_loaded(tmp_path: Path) -> None:
    """And their time is nobody's loading."""
    served: list[float] = []

    class Serving(Line):
        def give_way(self) -> float:
            time.sleep(0.05)
            served.append(0.05)
            return 0.05

    def slow(_files: ModelFiles, _device: Device) -> str:
        time.sleep(0.4)
        return threading.current_thread().name

    class Loading(Pipeline):
        def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:
            yield dict.fromkeys(range(len(requests)), Result(model=context.load(requests[0].model, slow)))

    reference = f"path:{tiny_sentiment(tmp_path / 'tiny')}"
    items = (BatchItem("a", SentimentRequest(model=reference, text="a")),)
    line, cache = Serving(), ModelCache(CPU, budget_bytes=1 << 30, idle_unload_s=1.0)
    report = BatchRun(Batch("sentiment", items), Loading(), cache, CPU, line).report()
    result = line.answers["a"].outcome
    assert isinstance(result, Result)
    assert result.model != threading.current_thread().name
    assert len(served) >= 4
    assert report.loading_s[reference] + sum(served) == pytest.approx(0.4, abs=0.2)
    assert report.seconds < 0.2


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to"),
            True,
        ),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried to"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_a_lack_of_memory(error: Exception, full: bool) -> None:
    assert is_out_of_memory(error) is full
