"""Test that a result that will do is the answer when no other comes, or not soon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bot.inference.device import Device
from bot.inference.messages import Answered, Drafted, Event, Started
from bot.inference.pipeline import Result
from bot.inference.worker import WorkerOptions
from bot.jobs import drafts as drafts_module
from bot.jobs.drafts import Drafts
from bot.jobs.local import LocalDevice

DRAFT, OUTCOME = Result(model="draft"), Result(model="outcome")


@pytest.fixture
def heard() -> list[Event]:
    return []


@pytest.fixture
async def drafts(heard: list[Event]) -> Drafts:
    drafts = Drafts()
    drafts.hear(heard.append, Started())
    drafts.hear(heard.append, Drafted("a", DRAFT, 2.0))
    return drafts


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts_module, "PATIENCE_S", 0.01)


async def test_it_is_the_answer_after_some_time(drafts: Drafts, heard: list[Event]) -> None:
    assert heard == [Started()]
    await asyncio.sleep(0.05)
    drafts.settle("a")
    assert heard == [Started(), Answered("a", DRAFT, 2.0)]


async def test_it_is_the_answer_when_the_worker_died(drafts: Drafts, heard: list[Event]) -> None:
    drafts.settle("b")
    drafts.settle("a")
    await asyncio.sleep(0.05)
    assert heard == [Started(), Answered("a", DRAFT, 2.0)]


async def test_the_outcome_is_better(drafts: Drafts, heard: list[Event]) -> None:
    drafts.hear(heard.append, Answered("a", OUTCOME, 3.0))
    drafts.settle("a")
    await asyncio.sleep(0.05)
    assert heard == [Started(), Answered("a", OUTCOME, 3.0)]


async def test_a_newer_draft_takes_the_place_of_an_older_one(drafts: Drafts, heard: list[Event]) -> None:
    drafts.hear(heard.append, Drafted("a", OUTCOME, 4.0))
    await asyncio.sleep(0.05)
    assert heard == [Started(), Answered("a", OUTCOME, 4.0)]


@pytest.mark.parametrize("stop", [lambda device: device.cancel("a"), lambda device: device.close()])
async def test_a_job_that_is_stopped_gets_none(heard: list[Event], stop: Callable[[LocalDevice], Any]) -> None:
    options = WorkerOptions(Device("cpu"), {})
    device = LocalDevice(options, name="cpu", job_timeout_s=1.0)
    device._drafts.hear(heard.append, Drafted("a", DRAFT, 2.0))
    stopping = stop(device)
    if stopping is not None:
        await stopping
    await asyncio.sleep(0.05)
    assert not heard
