"""Test that jobs are got ready while the device works, and that the pieces come together again."""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

import pytest

from bot.errors import BadInput
from bot.tasks.base import Answers, Context, Loaded, Pipeline, Result
from bot.tasks.sentiment.task import SentimentRequest
from bot.workers.batch_runner import BatchRun
from bot.workers.inbox import Inbox
from bot.workers.main import BatchLine, Worker, WorkerOptions
from bot.workers.model_cache import ModelCache
from bot.workers.protocol import Batch, BatchItem, Cancel, Forget, Prefetch, Run
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
    inbox = Inbox(pipe[1], on_orphaned=lambda: None)
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
    line = BatchLine(1, inbox, Worker(inbox, cache(), WorkerOptions(CPU, {})))
    BatchRun(inbox.completed(batch), pipeline, cache(), CPU, line).report()


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
    until(lambda: {"two", "bad"} <= inbox.preprocessed.keys())
    pipeline.gate.set()
    assert outcomes(pipe[0], 1)["one"] == Result(model="ONE")
    run(inbox, pipeline, Batch("sentiment", (item("two", sent=True), item("bad", sent=True), item("three"))))
    answers = outcomes(pipe[0], 3)
    assert answers["two"] == Result(model="TWO")
    assert answers["three"] == Result(model="THREE")
    assert str(answers["bad"].error) == "not this"
    assert pipeline.made_late == ["three"]


def test_what_is_not_needed_is_forgotten(inbox: Inbox, pipe: tuple[Connection, Connection]) -> None:
    pipe[0].send([Prefetch("sentiment", item("two"))])
    pipe[0].send([Cancel("two")])
    until(lambda: inbox.preprocessed)
    pipe[0].send([Forget("two")])
    until(lambda: not inbox.preprocessed)
    assert inbox.completed(Batch("sentiment", (item("two", sent=True),))).items[0].request is None
    assert not inbox.cancelled


def test_batches_come_in_order(inbox: Inbox, pipe: tuple[Connection, Connection]) -> None:
    for number in range(3):
        pipe[0].send([Run(number, Batch("sentiment", (item("x"),)))])
    assert [inbox.runs.get(timeout=10).number for _ in range(3)] == [0, 1, 2]  # type: ignore[union-attr]
