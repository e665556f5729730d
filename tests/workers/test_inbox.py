"""Test that jobs are got ready while the device works, and that the pieces come together again."""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import Mock

import pytest

from bot.errors import BadInput
from bot.tasks.base import Answers, Context, Loaded, Pipeline, Result, stop_requested
from bot.tasks.images.decode import DecodedImage
from bot.tasks.sentiment.task import SentimentRequest
from bot.workers.batch_runner import BatchRun
from bot.workers.inbox import ORPHANED, UNREADABLE, Inbox, memory_bytes
from bot.workers.main import PipeChannel, Worker, WorkerOptions
from bot.workers.model_cache import ModelCache
from bot.workers.protocol import Batch, BatchItem, Cancel, Forget, Prefetch, RunBatch, Stop
from tests.workers.line import CPU


class GatedPipeline(Pipeline):
    """Upper-case texts ahead of time; the device works until the gate opens."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.made: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.made_late: list[str] = []

    def preprocess(self, request: Any, loaded: Loaded) -> str:  # noqa: ARG002
        if request.text == "bad":
            raise BadInput("not this")
        if threading.current_thread() is threading.main_thread():
            self.made_late.append(request.text)
        self.made.put(request.text)
        return str(request.text.upper())

    def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:  # noqa: ARG002
        texts, errors = context.preprocessed(lambda *_: None)
        yield errors
        assert self.gate.wait(10)
        yield {index: Result(model=text) for index, text in texts.items()}


def item(text: str, *, sent: bool = False) -> BatchItem:
    return BatchItem(text, None if sent else SentimentRequest(model="m", text=text))


@pytest.fixture
def pipe() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = multiprocessing.Pipe()
    yield ours, theirs
    ours.close()


@pytest.fixture
def pipeline() -> GatedPipeline:
    return GatedPipeline()


@pytest.fixture
def inbox(pipe: tuple[Connection, Connection], pipeline: GatedPipeline) -> Inbox:
    """Start an inbox as a worker does, but for what it does when the parent goes."""
    inbox = Inbox(pipe[1], end=lambda _: None)
    threading.Thread(target=inbox.listen, daemon=True).start()
    threading.Thread(target=inbox.preprocess, args=(lambda _: pipeline, cache()), daemon=True).start()
    return inbox


def cache() -> ModelCache:
    return ModelCache(CPU, budget_bytes=1, idle_unload_s=1.0)


def outcomes(ours: Connection, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while len(found) < count:
        found |= {answered.job_id: answered.outcome for answered in ours.recv()[1]}
    return found


def run(inbox: Inbox, pipeline: Pipeline, batch: Batch) -> None:
    channel = PipeChannel(1, inbox, Worker(inbox, cache(), WorkerOptions(CPU, {})))
    BatchRun(inbox.completed(batch), pipeline, cache(), CPU, channel).report()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_the_next_job_is_got_ready_while_the_device_works(
    inbox: Inbox, pipe: tuple[Connection, Connection], pipeline: GatedPipeline
) -> None:
    threading.Thread(target=run, args=(inbox, pipeline, Batch("sentiment", (item("one"),)))).start()
    assert pipeline.made.get(timeout=10) == "one"
    for text in ("two", "bad"):
        pipe[0].send([Prefetch("sentiment", item(text))])
    assert pipeline.made.get(timeout=10) == "two"
    until(lambda: inbox.preprocessed("two") and inbox.preprocessed("bad"))
    pipeline.gate.set()
    assert outcomes(pipe[0], 1)["one"] == Result(model="ONE")
    run(inbox, pipeline, Batch("sentiment", (item("two", sent=True), item("bad", sent=True), item("three"))))
    answers = outcomes(pipe[0], 3)
    assert answers["two"] == Result(model="TWO")
    assert answers["three"] == Result(model="THREE")
    assert str(answers["bad"].error) == "not this"
    assert pipeline.made_late == ["three"]


def test_a_job_that_runs_elsewhere_is_forgotten(inbox: Inbox, pipe: tuple[Connection, Connection]) -> None:
    pipe[0].send([Prefetch("sentiment", item("two")), Cancel("two")])
    until(lambda: inbox.preprocessed("two"))
    assert inbox.cancelled("two")
    pipe[0].send([Forget("two")])
    until(lambda: not len(inbox))
    assert inbox.completed(Batch("sentiment", (item("two", sent=True),))).items[0].request is None
    assert (inbox.cancelled("two"), inbox.preprocessed_bytes) == (False, 0)


def test_a_cancel_for_a_job_that_has_ended_leaves_nothing(inbox: Inbox, pipe: tuple[Connection, Connection]) -> None:
    pipe[0].send([RunBatch(0, Batch("sentiment", (item("one"),))), Cancel("one")])
    until(lambda: inbox.cancelled("one"))
    inbox.forget(["one"])
    pipe[0].send([Cancel("one"), Stop()])
    inbox.runs.get(timeout=10)
    assert isinstance(inbox.runs.get(timeout=10), Stop)
    assert (len(inbox), inbox.cancelled("one")) == (0, False)


def test_a_cancel_may_come_before_its_job(inbox: Inbox, pipe: tuple[Connection, Connection]) -> None:
    for others in (0, 1_000):
        pipe[0].send([Cancel("one"), *(Cancel(str(number)) for number in range(others))])
        pipe[0].send([RunBatch(0, Batch("sentiment", (item("one"),)))])
        inbox.runs.get(timeout=10)
        assert inbox.cancelled("one") == (others == 0), "cancels are kept for ever"
        inbox.forget(["one"])


@dataclass
class Input:
    """Be a preprocessed input of a size; `on_measure` is called when somebody asks for it."""

    size: int
    on_measure: Callable[[], object] = lambda: None

    @property
    def nbytes(self) -> int:
        self.on_measure()
        return self.size


class SizedPipeline(GatedPipeline):
    """Make inputs of 100 bytes, and call a function while each is made."""

    def __init__(self, on_measure: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.made_of: list[str] = []
        self._on_measure = on_measure

    def preprocess(self, request: Any, loaded: Loaded) -> Any:  # noqa: ARG002
        self.made_of.append(request.text)
        return Input(100, self._on_measure)


def preprocess_all(inbox: Inbox, pipeline: Pipeline, texts: str) -> None:
    """Let an inbox receive jobs and preprocess them in this thread."""
    ours, theirs = multiprocessing.Pipe()
    inbox._connection = theirs
    ours.send([Prefetch("sentiment", item(text)) for text in texts])
    ours.close()
    inbox.listen()
    for _ in texts:
        inbox._preprocess(inbox._prefetched.get_nowait(), lambda _: pipeline, cache())


def test_preprocessed_inputs_are_bounded_in_bytes() -> None:
    inbox, pipeline = Inbox(Mock(), end=lambda _: None, most_bytes=250), SizedPipeline()
    preprocess_all(inbox, pipeline, "abcd")
    assert [inbox.preprocessed(text) is not None for text in "abcd"] == [True, True, False, False]
    assert inbox.preprocessed_bytes == 200
    inbox.forget("ab")
    assert inbox.preprocessed_bytes == 0
    assert all(done.request is not None for done in inbox.completed(Batch("s", (item("c", sent=True),))).items)


def test_an_input_that_is_ready_when_its_job_is_forgotten_is_dropped() -> None:
    inbox = Inbox(Mock(), end=lambda _: None)
    preprocess_all(inbox, SizedPipeline(lambda: inbox.forget("a")), "a")
    assert (len(inbox), inbox.preprocessed_bytes) == (0, 0)


def test_a_job_that_is_forgotten_or_cancelled_stops_what_takes_long() -> None:
    inbox = Inbox(Mock(), end=lambda _: None)
    asked: list[bool] = []

    def forget() -> None:
        stop = stop_requested.get()
        asked.append(stop())
        inbox.forget(["a"])
        asked.append(stop())

    class Asking(GatedPipeline):
        def preprocess(self, request: Any, loaded: Loaded) -> Any:  # noqa: ARG002
            forget()

    preprocess_all(inbox, Asking(), "a")
    assert asked == [False, True]


def test_pixels_count_as_they_lie_in_memory() -> None:
    import torch
    from PIL import Image

    picture = Image.new("RGB", (100, 50))
    assert memory_bytes(DecodedImage(picture, (100, 50))) == memory_bytes(picture) == 15_000
    assert memory_bytes([torch.zeros(3, 10, 10)]) - memory_bytes([]) in range(1_200, 1_220)
    assert memory_bytes({"pixels": Input(7), "size": None}) > 7


class Unreadable:
    """Be a message that can be sent, but not read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Unreadable, ("too many values",)


@pytest.mark.parametrize(("message", "code"), [(None, ORPHANED), ([Unreadable()], UNREADABLE), (7, UNREADABLE)])
def test_a_worker_ends_when_nothing_more_can_be_read(
    pipe: tuple[Connection, Connection], message: Any, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[int] = []
    if message is None:
        pipe[0].close()
    else:
        pipe[0].send(message)
    Inbox(pipe[1], end=ended.append).listen()
    assert ended == [code]
    assert ("can't be read" in caplog.text) == (code == UNREADABLE)


def test_batches_come_in_order(inbox: Inbox, pipe: tuple[Connection, Connection]) -> None:
    for number in range(3):
        pipe[0].send([RunBatch(number, Batch("sentiment", (item("x"),)))])
    assert [inbox.runs.get(timeout=10).number for _ in range(3)] == [0, 1, 2]  # type: ignore[union-attr]
