"""Test the engine: admission, states, cancelling, deaths, deadlines, restarts."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from bot.engine.engine import Engine
from bot.engine.failure_log import InternalError
from bot.engine.job import Job, JobState, Requester
from bot.errors import BadInput, JobCancelled, JobExpired, Refused, UserError
from bot.store.base import NoStore
from bot.store.sql import SqlStore
from bot.tasks.base import Failure, Request
from bot.tasks.classify.task import ClassifyRequest
from bot.tasks.imagine.task import ImagineRequest
from bot.tasks.sentiment.task import SentimentResult
from tests.engine.engines import ALICE, BOB, ask, make_engine, request
from tests.fakes.answers import png
from tests.fakes.executor import FakeDevice
from tests.fakes.waiting import until
from tests.store.databases import in_the_database

PICTURE = ClassifyRequest(model="bundled:efficientnet-lite0", image=png(64, 64))


async def test_a_job_is_answered(engine: Engine) -> None:
    job = await ask(engine)
    result = await job.outcome()
    assert isinstance(result, SentimentResult)
    assert (result.label, job.state, job.attempts) == ("positive", JobState.DONE, 1)
    assert engine.jobs == {}


async def test_jobs_of_two_people_share_a_batch(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    first = await ask(engine)
    others = [await ask(engine, requester) for requester in (ALICE, BOB)]
    device.release()
    await asyncio.gather(*(job.outcome() for job in (first, *others)))
    assert [len(batch.items) for batch in device.batches] == [1, 2]


async def test_limits_name_themselves_and_free_again(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    jobs = [await ask(engine) for _ in range(3)]
    with pytest.raises(Refused, match="At most 3 of your jobs"):
        await ask(engine)
    jobs += [await ask(engine, BOB) for _ in range(2)]
    with pytest.raises(Refused, match="At most 5 of this server"):
        await ask(engine, BOB)
    jobs.append(await ask(engine, Requester(user_id=3)))
    with pytest.raises(Refused, match="The queue is full: at most 6"):
        await ask(engine, Requester(user_id=4))
    device.release()
    await asyncio.gather(*(job.outcome() for job in jobs))
    await (await ask(engine)).outcome()


async def test_a_refusal_knows_when_a_job_ends(engine: Engine, device: FakeDevice) -> None:
    engine.estimator.seconds_per_unit[request().model] = 60.0  # a character
    device.hold()
    for _ in range(3):
        await ask(engine)
    engine.refresh_etas()
    with pytest.raises(Refused, match="Try again in 4 minutes") as refusal:
        await ask(engine)
    assert refusal.value.values["retry_after_s"] == pytest.approx(4 * 60, abs=1)
    device.release()


async def test_the_hosts_limits_are_checked_before_queueing(engine: Engine, device: FakeDevice) -> None:
    too_much = ImagineRequest(model="bundled:emoji-sd", prompt="a cat", seed=1, steps=1_000)
    with pytest.raises(BadInput, match="at most 100 steps"):
        await engine.submit("imagine", too_much, ALICE)
    assert device.batches == []


async def test_cancel_of_a_waiting_job_is_at_once(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    running, waiting = await ask(engine), await ask(engine)
    assert engine.cancel(waiting.id)
    assert waiting.state is JobState.CANCELLED
    with pytest.raises(JobCancelled):
        await waiting.outcome()
    device.release()
    await running.outcome()
    assert len(device.requests) == 1


async def test_cancel_of_a_running_job_reaches_the_device(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    job = await ask(engine)
    assert engine.cancel(job.id)
    with pytest.raises(JobCancelled):
        await job.outcome()
    assert job.state is JobState.CANCELLED
    assert not engine.cancel(job.id)


async def test_cancel_of_a_hanging_job_outlives_its_worker(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    device.obeys = False
    job = await ask(engine)
    await asyncio.sleep(0)
    engine.cancel(job.id)
    device.deaths = 1
    device.release()
    with pytest.raises(JobCancelled):
        await job.outcome()
    assert len(device.batches) == 1


async def test_cancel_of_a_running_job_outlives_a_restart(tmp_path: Path) -> None:
    device = FakeDevice()
    device.obeys = False
    device.hold()
    engine = make_engine(device, store=sqlite(tmp_path))
    await engine.start()
    job = await ask(engine)
    engine.cancel(job.id)
    await engine.close()
    again = make_engine(device, store=sqlite(tmp_path))
    assert [job.state for job in await again.start()] == [JobState.CANCELLED]
    await again.close()


async def test_a_job_of_another_version_whose_model_nobody_can_read_stops_no_start(tmp_path: Path) -> None:
    engine = make_engine(FakeDevice(), store=sqlite(tmp_path))
    await engine.start()
    odd = Job(task="sentiment", request=replace(request(), model="ollama:mood"), requester=ALICE, reply_to={})
    await engine.store.add(odd)
    await engine.close()
    again = make_engine(FakeDevice(), store=sqlite(tmp_path))
    (job,) = await again.start()
    assert (job.state, type(job.error)) == (JobState.FAILED, BadInput)
    await again.close()


async def test_a_store_in_trouble_holds_nobody_up_for_long() -> None:
    class HangingStore(NoStore):
        async def flush(self) -> None:
            await asyncio.Event().wait()

    async with asyncio.timeout(10):
        await make_engine(store=HangingStore(), flush_s=0.01).flush()


async def test_a_tick_that_fails_does_not_end_the_ticking(device: FakeDevice, caplog: pytest.LogCaptureFixture) -> None:
    class FailingOnce(NoStore):
        failed = False

        def set_value(self, key: str, value: Any) -> None:
            if not self.failed:
                self.failed = True
                raise RuntimeError("a bug")
            super().set_value(key, value)

    engine = make_engine(device, store=FailingOnce(), tick_s=0.01, expire_s=0.05)
    await engine.start()
    await (await ask(engine)).outcome()  # the estimate that was learned is kept at the next tick
    await until(lambda: "engine tick" in caplog.text)
    device.hold()
    await ask(engine)
    waiting = await ask(engine, BOB)
    with pytest.raises(JobExpired):
        await waiting.outcome()
    device.release()
    await engine.close()


async def test_cancel_of_a_job_that_is_being_written(engine: Engine, device: FakeDevice) -> None:
    written, add = asyncio.Event(), engine.store.add

    async def add_slowly(job: Job) -> None:
        await written.wait()
        await add(job)

    engine.store.add = add_slowly  # type: ignore[method-assign]
    asking = asyncio.create_task(ask(engine))
    await asyncio.sleep(0)
    (job_id,) = engine.jobs
    assert engine.cancel(job_id)
    written.set()
    job = await asking
    assert (job.state, device.batches, engine.jobs) == (JobState.CANCELLED, [], {})


async def test_a_lost_worker_is_forgiven_once(engine: Engine, device: FakeDevice) -> None:
    device.deaths = 1
    job = await ask(engine)
    await job.outcome()
    assert (job.attempts, job.state) == (2, JobState.DONE)


async def test_a_job_that_kills_twice_is_not_tried_again(engine: Engine, device: FakeDevice) -> None:
    device.deaths = 2
    job = await ask(engine)
    with pytest.raises(UserError, match="stopped the worker twice"):
        await job.outcome()
    await (await ask(engine, BOB)).outcome()


async def test_a_bad_item_fails_alone(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    jobs = [await ask(engine), await ask(engine), await ask(engine, BOB)]
    device.answers(Failure(BadInput("not this")), Failure(traceback="deep inside"))
    device.release()
    outcomes = await asyncio.gather(*(job.outcome() for job in jobs), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["BadInput", "InternalError", "SentimentResult"]


async def test_an_unknown_error_is_logged_in_full(
    engine: Engine, device: FakeDevice, caplog: pytest.LogCaptureFixture
) -> None:
    device.answers(Failure(traceback="Traceback: deep inside"))
    job = await ask(engine)
    with caplog.at_level(logging.ERROR), pytest.raises(Exception, match=job.id):
        await job.outcome()
    assert "deep inside" in caplog.text


async def test_a_job_that_waited_too_long_is_dropped_with_a_note(device: FakeDevice) -> None:
    engine = make_engine(device, expire_s=0.3)
    await engine.start()
    device.hold()
    running, waiting = await ask(engine), await ask(engine)
    with pytest.raises(JobExpired, match="dropped"):
        await asyncio.wait_for(waiting.outcome(), 5)
    assert waiting.state is JobState.EXPIRED
    assert running.state is JobState.RUNNING
    await engine.close()


async def test_positions_are_told(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    jobs = [await ask(engine, requester) for requester in (ALICE, ALICE, BOB)]
    engine.refresh_etas()
    assert sorted(job.status.ahead for job in jobs[1:] if job.status.ahead is not None) == [0, 1]
    device.release()
    await asyncio.gather(*(job.outcome() for job in jobs))


async def test_a_caller_that_leaves_stops_nothing(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    job = await ask(engine)
    caller = asyncio.create_task(job.outcome())
    await asyncio.sleep(0)
    caller.cancel()
    device.release()
    assert isinstance(await job.outcome(), SentimentResult)


def sqlite(folder: Path) -> SqlStore:
    return SqlStore(f"sqlite+aiosqlite:///{folder / 'jobs.db'}")


async def test_a_restart_runs_what_was_queued_and_running(tmp_path: Path) -> None:
    device = FakeDevice()
    engine = make_engine(device, store=sqlite(tmp_path))
    await engine.start()
    device.hold()
    before = [await ask(engine, text=text) for text in ("one", "two")]
    await engine.close()

    again = make_engine(FakeDevice(), store=sqlite(tmp_path))
    after = await again.start()
    assert [job.id for job in after] == [job.id for job in before]
    outcomes = [await job.outcome() for job in after]
    assert all(isinstance(outcome, SentimentResult) for outcome in outcomes)
    assert after[0].reply_to == {"somewhere": 1}
    for job in after:
        again.mark_answered(job)
    await again.close()

    last = make_engine(store=sqlite(tmp_path))
    assert await last.start() == []
    await last.close()


async def test_a_finished_answer_survives_and_is_not_computed_again(tmp_path: Path) -> None:
    engine = make_engine(store=sqlite(tmp_path))
    await engine.start()
    done, failed = await ask(engine), await ask(engine, BOB)
    result = await done.outcome()
    await failed.outcome()
    await engine.close()

    device = FakeDevice()
    again = make_engine(device, store=sqlite(tmp_path))
    recovered = await again.start()
    assert await recovered[0].outcome() == result
    assert device.batches == []
    await again.close()


async def test_a_job_found_running_twice_is_poison(tmp_path: Path) -> None:
    store = sqlite(tmp_path)
    await store.open()
    job = Job(task="sentiment", request=request(), requester=ALICE, attempts=2)
    job.update(state=JobState.RUNNING)
    await store.add(job)
    await store.close()
    engine = make_engine(store=sqlite(tmp_path))
    recovered = await engine.start()
    with pytest.raises(UserError, match="crashed twice"):
        await recovered[0].outcome()
    await engine.close()


async def test_a_job_is_not_to_blame_for_a_kill_before_it_began(tmp_path: Path) -> None:
    for _ in range(4):
        device = FakeDevice()
        device.starts = False
        device.hold()
        engine = make_engine(device, store=sqlite(tmp_path))
        recovered = await engine.start()
        job = recovered[0] if recovered else await ask(engine)
        assert (job.state, job.attempts) == (JobState.RUNNING, 0)
        await engine.store.close()  # as good as a kill: nothing is written from here on
        engine._scheduler.closing = True
        await engine.executor.close()
    again = make_engine(store=sqlite(tmp_path))
    assert await (await again.start())[0].outcome()
    await again.close()


async def begun(job: Job) -> None:
    await until(lambda: job.attempts, every_s=0)


async def test_a_job_is_not_to_blame_for_a_kill_during_a_stop(tmp_path: Path) -> None:
    for _ in range(4):
        device = FakeDevice()
        device.hold()
        engine = make_engine(device, store=sqlite(tmp_path), shutdown_grace_s=60.0)
        recovered = await engine.start()
        job = recovered[0] if recovered else await ask(engine)
        await begun(job)
        stopping = asyncio.create_task(engine.close())
        await asyncio.sleep(0)
        await engine.store.close()  # as good as a kill: nothing is written from here on
        stopping.cancel()
        await engine._scheduler.close()
    again = make_engine(store=sqlite(tmp_path))
    assert await (await again.start())[0].outcome()
    await again.close()


async def test_a_worker_that_dies_loading_is_not_tried_for_ever(engine: Engine, device: FakeDevice) -> None:
    device.starts = False
    device.deaths = 2
    job = await ask(engine)
    with pytest.raises(UserError, match="stopped the worker twice"):
        await job.outcome()


async def test_deadlines_pass_while_the_bot_is_down(tmp_path: Path) -> None:
    store = sqlite(tmp_path)
    await store.open()
    await store.add(Job(task="sentiment", request=request(), requester=ALICE, expires_at=time.time() - 1))
    await store.close()
    engine = make_engine(store=sqlite(tmp_path))
    recovered = await engine.start()
    with pytest.raises(JobExpired):
        await recovered[0].outcome()
    await engine.close()


async def test_estimates_survive_even_a_kill(tmp_path: Path) -> None:
    engine = make_engine(store=sqlite(tmp_path), tick_s=0.01)
    await engine.start()
    await (await ask(engine)).outcome()
    known = dict(engine.estimator.seconds_per_unit)
    while await engine.store.get_value("estimates") != known:  # noqa: ASYNC110 - written within a second, on its own
        await asyncio.sleep(0.01)
    await engine.close()
    again = make_engine(store=sqlite(tmp_path))
    await again.start()
    assert known
    assert again.estimator.seconds_per_unit == known
    await again.close()


async def test_no_start_is_told_while_nobody_knows_when_the_device_is_free(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    running, waiting = await ask(engine), await ask(engine)
    engine.refresh_etas()
    assert (waiting.status.ahead, waiting.status.starts_in_s) == (0, None)
    device.release()
    await asyncio.gather(running.outcome(), waiting.outcome())


async def test_no_start_is_told_while_what_runs_is_overdue(engine: Engine, device: FakeDevice) -> None:
    engine.estimator.learn([request()], seconds=60)
    device.hold()
    running, waiting = await ask(engine), await ask(engine)
    engine.refresh_etas()
    assert waiting.status.starts_in_s == pytest.approx(60, abs=1)
    engine._scheduler._batch_of_job[running.id].expected_s = 0.0
    engine.refresh_etas()
    assert (waiting.status.ahead, waiting.status.starts_in_s) == (0, None)
    device.release()


async def waiting_pictures(url: str, count: int) -> list[str]:
    """Leave a text and pictures in a store, unanswered; return the ids of the pictures' jobs."""
    device = FakeDevice()
    device.hold()
    engine = make_engine(device, store=SqlStore(url))
    await engine.start()
    await ask(engine)
    ids = [(await engine.submit("classify", PICTURE, ALICE)).id for _ in range(count)]
    await engine.close()
    return ids


async def test_inputs_of_waiting_jobs_stay_in_the_store_until_they_are_computed(sqlite_url: str) -> None:
    ids = await waiting_pictures(sqlite_url, 3)
    device = FakeDevice()
    device.hold()
    engine = make_engine(device, store=SqlStore(sqlite_url))
    await engine.start()
    waiting = [engine.jobs[job_id] for job_id in ids]
    assert [len(cast("ClassifyRequest", job.request).image) for job in waiting] == [1, 1, 1]
    assert [job.input_bytes for job in waiting] == [len(PICTURE.image)] * 3
    device.release()
    for job in waiting:
        await job.outcome()
    assert device.requests[1:] == [PICTURE] * 3
    await engine.close()


async def test_a_bug_while_an_input_is_read_keeps_no_device(sqlite_url: str) -> None:
    class Failing(SqlStore):
        async def load_request(self, job: Job) -> Request:
            raise RuntimeError(f"a bug with {job.id}")

    ids = await waiting_pictures(sqlite_url, 2)
    device = FakeDevice()
    device.hold()
    engine = make_engine(device, store=Failing(sqlite_url))
    await engine.start()
    waiting = [engine.jobs[job_id] for job_id in ids]
    device.release()
    for job in waiting:
        with pytest.raises(InternalError):
            await job.outcome()
    await (await ask(engine)).outcome()  # the device is free again
    await engine.close()


async def test_an_input_that_the_store_lost_fails_its_job_alone(sqlite_url: str) -> None:
    lost, kept = await waiting_pictures(sqlite_url, 2)
    device = FakeDevice()
    device.hold()
    engine = make_engine(device, store=SqlStore(sqlite_url))
    await engine.start()
    jobs = [engine.jobs[lost], engine.jobs[kept]]
    await in_the_database(sqlite_url, f"UPDATE jobs SET request = NULL WHERE id = '{lost}'")  # noqa: S608
    device.release()
    with pytest.raises(UserError, match="gone"):
        await jobs[0].outcome()
    await jobs[1].outcome()
    assert device.requests[1:] == [PICTURE]
    await engine.close()
