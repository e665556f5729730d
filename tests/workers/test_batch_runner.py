"""Test that a failing batch harms nobody who isn't at fault."""

from __future__ import annotations

import enum
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.errors import BadInput, JobCancelled, ModelUnavailable, OutOfMemory, UserError
from bot.hub.resolve import ModelFiles
from bot.machine.device import Device, DeviceBroken, is_out_of_memory
from bot.tasks.base import Answers, Context, Failure, Loaded, Outcome, Pipeline, Result, stop_requested
from bot.tasks.sentiment.task import SentimentRequest
from bot.workers.protocol import Event
from tests.models.tiny_models import tiny_sentiment
from tests.workers.line import CPU, Line, outcomes_of, report_of


class Clock:
    """Stand still but for what somebody is said to do."""

    def __init__(self) -> None:
        self.now = 0.0
        self._one_at_a_time = threading.Lock()

    def monotonic(self) -> float:
        return self.now

    def spend(self, seconds: float) -> float:
        with self._one_at_a_time:
            self.now += seconds
        return seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let batches and loading go by a clock of our own."""
    clock = Clock()
    for module in ("batch_runner", "background_load"):
        monkeypatch.setattr(f"bot.workers.{module}.time", clock)
    return clock


class Busy(Line):
    """Let others take half a second whenever a batch gives way."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.served = 0
        self.served_some = threading.Event()

    def yield_to_short_jobs(self) -> float:
        self.served += 1
        if self.served == 4:
            self.served_some.set()
        return self._clock.spend(0.5)


class ScriptedPipeline(Pipeline):
    """Run batches by a function of their texts, and remember them."""

    def __init__(self, answer: Callable[[list[str]], Sequence[Result | Exception]]) -> None:
        self._answer = answer
        self.batches: list[list[str]] = []

    def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:  # noqa: ARG002
        texts = [request.text for request in requests]
        self.batches.append(texts)
        yield dict(enumerate(self._answer(texts)))


def asked(texts: str, model: str = "m") -> list[SentimentRequest]:
    return [SentimentRequest(model=model, text=text) for text in texts]


def outcomes(pipeline: Pipeline, texts: str) -> list[Outcome]:
    return outcomes_of(pipeline, asked(texts))


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


class Size(enum.IntEnum):
    """Be a number that isn't quite one."""

    SMALL = 3


class Spoiled(Device):
    """Be a device that no error leaves usable."""

    def is_broken(self) -> bool:
        return True


def test_nothing_is_answered_by_a_device_that_an_error_has_spoiled() -> None:
    def answer(_texts: list[str]) -> list[Result | Exception]:
        raise RuntimeError("CUDA error: device-side assert triggered")

    line = Line()
    with pytest.raises(DeviceBroken):
        report_of(ScriptedPipeline(answer), asked("a"), line, device=Spoiled("cuda:0"))
    assert line.answers == {}


def test_a_sentence_for_people_spoils_no_device() -> None:
    def answer(_texts: list[str]) -> list[Result | Exception]:
        raise BadInput("not this")

    line = Line()
    report_of(ScriptedPipeline(answer), asked("a"), line, device=Spoiled("cuda:0"))
    assert isinstance(line.answers["0"].outcome, Failure)


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


class Strange(BadInput):
    """Be an error that only a worker knows."""


class Shown:
    def __str__(self) -> str:
        return "a thing"


def test_errors_cross_to_the_bot_as_its_own_classes_with_plain_values() -> None:
    import numpy as np

    error = Strange("{thing} {count} {share} {none}", thing=Shown(), count=Size.SMALL, share=np.float64(0.5), none=None)
    (failure,) = outcomes(ScriptedPipeline(lambda _: [error]), "a")
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, BadInput)
    assert type(failure.error) is BadInput
    values = failure.error.values
    assert values == {"thing": "a thing", "count": 3, "share": 0.5, "none": None}
    assert [type(value) for value in values.values()] == [str, int, float, type(None)]


def test_an_answer_that_cannot_be_sent_fails_its_own_job_only() -> None:
    class Pipe(Line):
        def send(self, *events: Event) -> None:
            pickle.dumps(events)
            super().send(*events)

    def answer(texts: list[str]) -> list[Result | Exception]:
        models: list[Any] = [threading.Lock() if text == "x" else text for text in texts]
        return [Result(model=model) for model in models]

    a, x, b = outcomes_of(ScriptedPipeline(answer), asked("axb"), Pipe())
    assert (a, b) == (Result(model="a"), Result(model="b"))
    assert isinstance(x, Failure)
    assert "pickle" in x.traceback


def test_what_takes_long_before_the_model_can_ask_whether_its_job_was_stopped() -> None:
    class Asking(Pipeline):
        def preprocess(self, request: Any, loaded: Loaded) -> Any:  # noqa: ARG002
            if stop_requested.get()():
                raise JobCancelled("Cancelled.")
            return request.text

        def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:  # noqa: ARG002
            texts, errors = context.preprocessed(lambda *_: None)
            yield errors
            yield {index: Result(model=text) for index, text in texts.items()}

    stopped, other = outcomes_of(Asking(), asked("ab"), Line(stopped=["0"]))
    assert isinstance(stopped.error, JobCancelled)
    assert other == Result(model="b")
    assert not stop_requested.get()()


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


def test_seconds_are_shared_by_work_and_leave_out_the_guests(clock: Clock) -> None:
    class Slow(ScriptedPipeline):
        def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:
            context.yield_to_short_jobs()
            clock.spend(0.04)
            yield {index: Result(model=request.text) for index, request in enumerate(requests)}

    line = Busy(clock)
    report = report_of(Slow(fine), asked("ab"), line)
    assert [answered.seconds for answered in line.answers.values()] == pytest.approx([0.02, 0.02])
    assert report.seconds == pytest.approx(0.04)


def test_the_time_of_a_draft_counts_with_the_answer(clock: Clock) -> None:
    class Slow(ScriptedPipeline):
        def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:
            answers = {index: Result(model=request.text) for index, request in enumerate(requests)}
            clock.spend(0.04)
            context.draft(answers)
            clock.spend(0.06)
            yield answers

    line = Line()
    report_of(Slow(fine), asked("ab"), line)
    assert [draft.result.model for draft in line.drafts.values()] == ["a", "b"]
    assert [draft.seconds for draft in line.drafts.values()] == pytest.approx([0.02, 0.02])
    assert [answered.seconds for answered in line.answers.values()] == pytest.approx([0.05, 0.05])


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


def test_others_are_served_while_a_model_is_loaded(tmp_path: Path, clock: Clock) -> None:
    """And their time is nobody's loading."""
    line = Busy(clock)

    def slow(_files: ModelFiles, _device: Device) -> str:
        assert line.served_some.wait(10)
        clock.spend(0.25)
        return threading.current_thread().name

    class Loading(Pipeline):
        def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:
            yield dict.fromkeys(range(len(requests)), Result(model=context.load(requests[0].model, slow)))

    reference = f"path:{tiny_sentiment(tmp_path / 'tiny')}"
    report = report_of(Loading(), asked("a", reference), line)
    result = line.answers["0"].outcome
    assert isinstance(result, Result)
    assert result.model != threading.current_thread().name
    assert report.loading_s == {reference: pytest.approx(0.25)}
    assert report.seconds == pytest.approx(0.0)


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
