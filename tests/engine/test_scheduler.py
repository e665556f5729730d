"""Test what the engine gives to devices: batches, guests between the steps of pictures, jobs to get ready."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest

from bot.engine.engine import Engine
from bot.engine.job import Job, JobState, Requester
from bot.errors import UserError
from bot.tasks.imagine.task import ImagineRequest
from bot.tasks.sentiment.task import SentimentRequest
from bot.workers.protocol import Progress
from tests.engine.engines import ALICE, BOB, ask, make_engine, request
from tests.fakes.executor import FakeDevice


async def picture(engine: Engine, requester: Requester = ALICE) -> Job:
    request = ImagineRequest(model="bundled:emoji-sd", prompt="a cat", seed=1, steps=20)
    return await engine.submit("imagine", request, requester)


async def host(engine: Engine, device: FakeDevice, *, seconds_a_step: float = 1.0) -> Job:
    """Start a picture of 20 steps that is known to take its time, on a device that keeps it."""
    device.loaded["bundled:minilm-sentiment"] = 1
    job = await picture(engine)
    engine.estimator.learn([job.request], 20 * seconds_a_step)
    engine._scheduler._batch_on_device["cpu"].expected_s = 20 * seconds_a_step
    engine.estimator.learn([request()], 0.5)
    device.hold()
    await asyncio.sleep(0)
    return job


async def test_short_jobs_run_between_the_steps_of_a_picture(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    job = await host(engine, device)
    first, second, third = await ask(engine, BOB), await ask(engine, ALICE), await ask(engine, BOB)
    assert [first.state, second.state, third.state] == [JobState.RUNNING, JobState.QUEUED, JobState.QUEUED]
    device.release()
    await asyncio.gather(*(other.outcome() for other in (job, first, second, third)))
    assert [len(batch.items) for batch in device.batches] == [1, 1, 2]


async def test_nothing_runs_between_steps_while_the_model_is_loaded_or_after_the_last(
    engine: Engine, device: FakeDevice
) -> None:
    device.hold()
    device.starts = False
    job = await host(engine, device)
    early = await ask(engine, BOB)
    states = [early.state]
    device.started()
    assert [*states, early.state] == [JobState.QUEUED, JobState.RUNNING]
    engine._scheduler._batch_on_device["cpu"].inner = None
    engine._scheduler._on_event(engine._scheduler._batch_on_device["cpu"], Progress(job.id, 20, 20))
    late = await ask(engine, BOB)
    assert late.state is JobState.QUEUED
    device.release()
    await asyncio.gather(*(other.outcome() for other in (job, early, late)))


async def test_jobs_of_other_models_run_while_one_is_loaded(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    device.starts = False
    device.loaded["bundled:minilm-sentiment"] = 1
    cold = await engine.submit("sentiment", SentimentRequest(model="path:cold", text="a"), ALICE)
    await asyncio.sleep(0)
    warm, same, long = (
        await ask(engine, BOB),
        await engine.submit("sentiment", cold.request, BOB),
        await picture(engine),
    )
    assert warm.state is JobState.QUEUED
    device.loading(0.5)
    assert [job.state for job in (warm, same, long)] == [JobState.RUNNING, JobState.QUEUED, JobState.QUEUED]
    device.release()
    await asyncio.gather(*(job.outcome() for job in (cold, warm, same, long)))


async def loading_host(engine: Engine, device: FakeDevice, *, loading_s: float, picture_s: float) -> Job:
    """Start a job whose model takes its time to load, on a device that has the models of all others."""
    device.hold()
    device.starts = False
    device.loaded |= {"bundled:minilm-sentiment": 1, "bundled:emoji-sd": 1}
    probe = ImagineRequest(model="bundled:emoji-sd", prompt="a cat", seed=1, steps=20)
    engine.estimator.learn([probe], picture_s)
    engine.estimator.learn_loading("path:cold", device.name, loading_s)
    cold = await engine.submit("sentiment", SentimentRequest(model="path:cold", text="a"), ALICE)
    await asyncio.sleep(0)
    device.loading()
    return cold


async def test_a_picture_that_fits_into_the_time_of_loading_is_made_meanwhile(
    engine: Engine, device: FakeDevice
) -> None:
    cold = await loading_host(engine, device, loading_s=30.0, picture_s=10.0)
    drawn = await picture(engine, BOB)
    assert drawn.state is JobState.RUNNING
    await asyncio.sleep(0)
    device.started()
    short, other = await ask(engine, BOB), await engine.submit("sentiment", cold.request, BOB)
    states = [short.state, other.state]
    assert states == [JobState.RUNNING, JobState.QUEUED], "between its steps, but nothing that must be loaded, too"
    device.release()
    await asyncio.gather(*(job.outcome() for job in (cold, drawn, short, other)))


async def test_a_picture_that_takes_longer_waits_until_the_model_is_loaded(engine: Engine, device: FakeDevice) -> None:
    cold = await loading_host(engine, device, loading_s=5.0, picture_s=10.0)
    drawn, short = await picture(engine, BOB), await ask(engine, BOB)
    assert [drawn.state, short.state] == [JobState.QUEUED, JobState.RUNNING]
    device.release()
    await asyncio.gather(*(job.outcome() for job in (cold, drawn, short)))


async def test_pictures_do_not_wait_for_a_download(engine: Engine, device: FakeDevice) -> None:
    cold = await loading_host(engine, device, loading_s=5.0, picture_s=10.0)
    device.loading(0.4)
    drawn = await picture(engine, BOB)
    assert drawn.state is JobState.RUNNING
    device.release()
    await asyncio.gather(cold.outcome(), drawn.outcome())


async def test_pictures_are_made_together_however_long_they_take(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    await host(engine, device, seconds_a_step=10.0)
    waiting = [await picture(engine, requester) for requester in (ALICE, BOB, BOB)]
    device.release()
    await asyncio.gather(*(job.outcome() for job in waiting))
    assert [len(batch.items) for batch in device.batches] == [1, 3]


async def test_a_picture_is_slowed_down_no_more_than_allowed(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    await host(engine, device, seconds_a_step=0.1)
    device.progress(1, 20)
    short = [await ask(engine, BOB) for _ in range(3)]
    device.progress(2, 20)
    assert {job.state for job in short} == {JobState.QUEUED}, "half a second would be a quarter of the picture's time"
    device.release()
    await asyncio.gather(*(job.outcome() for job in short))


async def test_pictures_wait_for_pictures(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    await host(engine, device)
    other = await picture(engine, BOB)
    device.progress(1, 20)
    assert other.state is JobState.QUEUED
    device.release()
    await other.outcome()


async def test_nothing_runs_beside_a_picture_that_killed_its_worker(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    job = await host(engine, device)
    job.attempts = 2
    short = await ask(engine, BOB)
    device.progress(1, 20)
    assert short.state is JobState.QUEUED
    device.release()
    await asyncio.gather(job.outcome(), short.outcome())


async def test_jobs_that_are_next_are_got_ready(engine: Engine, device: FakeDevice) -> None:
    await (await ask(engine)).outcome()  # the model is loaded now
    device.hold()
    await ask(engine)
    waiting, cancelled = await ask(engine), await ask(engine, BOB)
    assert device.prefetched == [waiting.id, cancelled.id]
    engine.cancel(cancelled.id)
    assert device.forgotten == [cancelled.id]
    device.release()
    await waiting.outcome()
    assert device.forgotten == [cancelled.id]


async def test_a_device_that_died_gets_nothing_until_it_is_back(device: FakeDevice) -> None:
    other = FakeDevice("cuda:1")
    engine = make_engine(device, other)
    await engine.start()
    device.available = False
    device.loaded["bundled:minilm-sentiment"] = 1
    await (await ask(engine)).outcome()
    assert (len(device.batches), len(other.batches)) == (0, 1)
    other.available = False
    job = await ask(engine)
    assert job.state is JobState.QUEUED
    device.available = True
    engine.executor.on_available()  # type: ignore[attr-defined]
    await job.outcome()
    await engine.close()


async def test_a_batch_takes_no_longer_than_it_may(device: FakeDevice) -> None:
    engine = make_engine(device, batch_s=1.0)
    await engine.start()
    device.seconds = 0.3
    await (await ask(engine)).outcome()
    device.batches.clear()
    device.hold()
    jobs = [await ask(engine) for _ in range(8)]
    device.release()
    await asyncio.gather(*(job.outcome() for job in jobs))
    assert [len(batch.items) for batch in device.batches][:2] == [1, 3]
    await engine.close()


async def test_devices_share_what_waits() -> None:
    devices = FakeDevice("cpu"), FakeDevice("cpu#2")
    engine = make_engine(*devices)
    for device in devices:
        device.available = False
    await engine.start()
    engine.estimator.learn([request()], 0.01)
    jobs = [await ask(engine) for _ in range(6)]
    for device in devices:
        device.available = True
    engine.executor.on_available()  # type: ignore[attr-defined]
    await asyncio.gather(*(job.outcome() for job in jobs))
    assert [[len(batch.items) for batch in device.batches] for device in devices] == [[3], [3]]
    await engine.close()


async def test_a_device_with_room_is_preferred_to_one_without() -> None:
    full, roomy = FakeDevice("cuda:0"), FakeDevice("cuda:1")
    full.budget_bytes, full.loaded = 10, {"other": 9}
    roomy.budget_bytes, roomy.loaded = 100, {"other": 50}
    engine = make_engine(full, roomy)
    engine._scheduler._sizes["bundled:minilm-sentiment"] = 5
    await engine.start()
    await (await ask(engine)).outcome()
    assert (len(full.batches), len(roomy.batches)) == (0, 1)
    await engine.close()


async def test_devices_work_at_once_and_a_warm_one_is_preferred() -> None:
    cold, warm = FakeDevice("cpu:0"), FakeDevice("cpu:1")
    warm.loaded = {"bundled:minilm-sentiment": 1}
    engine = make_engine(cold, warm)
    await engine.start()
    cold.hold()
    warm.hold()
    first = await ask(engine)
    await asyncio.sleep(0)
    assert (len(warm.batches), len(cold.batches)) == (1, 0)
    second = await ask(engine)
    await asyncio.sleep(0)
    assert (len(warm.batches), len(cold.batches)) == (1, 1)
    cold.release()
    warm.release()
    await asyncio.gather(first.outcome(), second.outcome())
    await engine.close()


async def test_a_device_that_cannot_be_opened_costs_no_job_while_there_is_another() -> None:
    broken, healthy = FakeDevice("cuda:0"), FakeDevice("cuda:1")
    broken.opens = False
    engine = make_engine(broken, healthy, batch_s=0.05)
    await engine.start()
    healthy.hold()
    jobs = [await ask(engine) for _ in range(20)]
    await asyncio.sleep(0)
    healthy.release()
    await asyncio.gather(*(job.outcome() for job in jobs))
    assert {(job.state, job.attempts) for job in jobs} == {(JobState.DONE, 1)}
    assert len(broken.batches) == 1
    await engine.close()


async def test_jobs_fail_when_no_device_can_be_opened() -> None:
    devices = FakeDevice("cuda:0"), FakeDevice("cuda:1")
    engine = make_engine(*devices)
    for device in devices:
        device.opens = False
    await engine.start()
    with pytest.raises(UserError, match="can't be run here just now"):
        await (await ask(engine)).outcome()
    await engine.close()


async def test_a_device_without_a_worker_does_not_count_as_free(engine: Engine, device: FakeDevice) -> None:
    engine.estimator.learn([request()], 0.5)
    device.available = False
    job = await ask(engine)
    engine.refresh_etas()
    assert job.status.starts_in_s is None
    device.available = True
    engine.executor.on_available()  # type: ignore[attr-defined]
    await job.outcome()


async def test_a_dear_guest_does_not_keep_cheap_ones_waiting(engine: Engine, device: FakeDevice) -> None:
    device.hold()
    await host(engine, device)
    engine.estimator.learn_loading("path:cold", device.name, 60.0)
    dear = await engine.submit("sentiment", SentimentRequest(model="path:cold", text="a"), BOB)
    cheap = await ask(engine, ALICE)
    assert [dear.state, cheap.state] == [JobState.QUEUED, JobState.RUNNING]
    device.release()
    await asyncio.gather(dear.outcome(), cheap.outcome())


async def test_guests_are_looked_for_when_the_first_host_has_time_for_them() -> None:
    devices = FakeDevice("cuda:0"), FakeDevice("cuda:1")
    engine = make_engine(*devices)
    await engine.start()
    for device in devices:
        device.hold()
        device.loaded["bundled:minilm-sentiment"] = 1
    hosts = [await picture(engine) for _ in devices]
    await asyncio.sleep(0)
    for device, seconds in zip(devices, (2.0, 0.2), strict=True):
        engine._scheduler._batch_on_device[device.name].expected_s = seconds
    engine.estimator.learn([request()], 0.5)
    short = await ask(engine, BOB)
    due = engine._scheduler._interleave_due
    assert short.state is JobState.QUEUED
    assert due is not None
    assert due.when() - asyncio.get_running_loop().time() == pytest.approx((0.5 - 0.25 * 2 * 3 / 7) * 7 / 3, abs=0.1)
    for device in devices:
        device.release()
    await asyncio.gather(*(job.outcome() for job in (*hosts, short)))
    await engine.close()


async def test_whose_job_loses_a_worker_pays_for_its_time(
    engine: Engine, device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid: defaultdict[int, float] = defaultdict(float)
    queue = engine._scheduler._queue
    charge = queue.charge

    def pay(requester: Requester, seconds: float) -> None:
        paid[requester.user_id] += seconds
        charge(requester, seconds)

    monkeypatch.setattr(queue, "charge", pay)
    device.hold()
    device.deaths = 1
    job = await ask(engine)
    await asyncio.sleep(0)
    engine._scheduler._batch_on_device["cpu"].started_at -= 60.0
    device.release()
    await job.outcome()
    assert paid[ALICE.user_id] == pytest.approx(60.0, abs=1.0)
