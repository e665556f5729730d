"""Test that a result that will do is the answer when no other comes, or not soon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bot.machine.device import Device
from bot.tasks.base import Result
from bot.workers import provisional as drafts_module
from bot.workers.local import LocalDevice
from bot.workers.main import WorkerOptions
from bot.workers.protocol import Answered, Drafted, Event, Started
from bot.workers.provisional import Drafts

DRAFT, OUTCOME = Result(model="draft"), Result(model="outcome")


class Heard(list[Event]):
    """Keep what is told; `answered` when that was an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()

    def hear(self, event: Event) -> None:
        self.append(event)
        if isinstance(event, Answered):
            self.answered.set()


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def drafts(heard: Heard) -> Drafts:
    drafts = Drafts()
    drafts.hear(heard.hear, Started())
    drafts.hear(heard.hear, Drafted("a", DRAFT, 2.0))
    return drafts


async def test_it_is_the_answer_after_some_time(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts_module, "PATIENCE_S", 0.01)
    drafts = Drafts()
    drafts.hear(heard.hear, Drafted("a", DRAFT, 2.0))
    assert heard == []
    await heard.answered.wait()
    drafts.settle("a")
    assert heard == [Answered("a", DRAFT, 2.0)]


async def test_it_is_the_answer_when_the_worker_died(drafts: Drafts, heard: Heard) -> None:
    timer = drafts._drafts["a"].timer
    drafts.settle("b")
    drafts.settle("a")
    assert heard == [Started(), Answered("a", DRAFT, 2.0)]
    assert timer.cancelled()


async def test_the_outcome_is_better(drafts: Drafts, heard: Heard) -> None:
    timer = drafts._drafts["a"].timer
    drafts.hear(heard.hear, Answered("a", OUTCOME, 3.0))
    drafts.settle("a")
    assert heard == [Started(), Answered("a", OUTCOME, 3.0)]
    assert timer.cancelled()


async def test_a_newer_draft_takes_the_place_of_an_older_one(
    drafts: Drafts, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = drafts._drafts["a"].timer
    monkeypatch.setattr(drafts_module, "PATIENCE_S", 0.01)
    drafts.hear(heard.hear, Drafted("a", OUTCOME, 4.0))
    assert older.cancelled()
    await heard.answered.wait()
    assert heard == [Started(), Answered("a", OUTCOME, 4.0)]


@pytest.mark.parametrize("stop", [lambda device: device.cancel("a"), lambda device: device.close()])
async def test_a_job_that_is_stopped_gets_none(heard: Heard, stop: Callable[[LocalDevice], Any]) -> None:
    options = WorkerOptions(Device("cpu"), {})
    device = LocalDevice(options, name="cpu", job_timeout_s=1.0)
    device._drafts.hear(heard.hear, Drafted("a", DRAFT, 2.0))
    timer = device._drafts._drafts["a"].timer
    stopping = stop(device)
    if stopping is not None:
        await stopping
    assert timer.cancelled()
    assert heard == []
