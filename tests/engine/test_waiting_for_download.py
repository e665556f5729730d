"""Test that jobs wait for the download of their model without keeping a device from others."""

from __future__ import annotations

import asyncio

import pytest

from bot.engine.engine import Engine
from bot.engine.job import Job, JobState
from bot.errors import JobCancelled, JobExpired
from bot.tasks.sentiment.task import SentimentRequest
from tests.engine.engines import ALICE, ask, make_engine
from tests.fakes.executor import FakeDevice

NEW = "hf:org/new@main"


async def ask_new(engine: Engine) -> Job:
    return await engine.submit("sentiment", SentimentRequest(model=NEW, text="fine"), ALICE)


async def test_jobs_of_other_models_run_while_one_is_fetched(engine: Engine, device: FakeDevice) -> None:
    engine.update_downloads({NEW: 0.0})
    waits, other = await ask_new(engine), await ask(engine, ALICE)
    await other.outcome()
    assert waits.state is JobState.QUEUED
    seen = [waits.status.loading]
    for shares in ({NEW: 0.43}, {}):
        engine.update_downloads(shares)
        seen.append(waits.status.loading)
    assert seen == [0.0, 0.43, None]
    await waits.outcome()
    assert [request.model for request in device.requests] == [other.request.model, NEW]


async def test_who_waits_for_a_model_can_leave(engine: Engine, device: FakeDevice) -> None:
    engine.update_downloads({NEW: 0.5})
    job = await ask_new(engine)
    assert engine.cancel(job.id)
    with pytest.raises(JobCancelled):
        await job.outcome()
    engine.update_downloads({})
    await asyncio.sleep(0)
    assert (device.requests, dict(engine.jobs)) == ([], {})


async def test_a_job_waits_for_its_model_no_longer_than_for_its_turn(device: FakeDevice) -> None:
    engine = make_engine(device, expire_s=0.01)
    engine.update_downloads({NEW: 0.5})
    await engine.start()
    job = await ask_new(engine)
    await asyncio.sleep(0.02)
    await ask(engine)
    with pytest.raises(JobExpired):
        await job.outcome()
    await engine.close()
