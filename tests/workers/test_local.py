"""Test real worker processes: batches, deaths, hangs, and that none stays behind.

They are forks of a process that has imported torch; `tests/wire` and `tests/cli` start them as the bot does.
"""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from bot.bundled.prepare import prepare
from bot.config import QueueSettings, load_settings, parse_settings
from bot.engine.engine import Engine
from bot.engine.job import Job, JobState, Requester
from bot.errors import BadInput, JobCancelled, UserError
from bot.machine.device import Device
from bot.store.base import NoStore
from bot.tasks.classify.task import ClassifyRequest
from bot.tasks.imagine.task import ImagineRequest, ImagineResult
from bot.tasks.sentiment.task import SentimentRequest, SentimentResult
from bot.workers.local import LocalDevice, LocalExecutor
from bot.workers.main import WorkerOptions
from bot.workers.protocol import Drafted, Event
from bot.workers.provisional import Drafts, OnEvent
from bot.workers.worker_process import WorkerProcess
from tests.fakes.waiting import until
from tests.models.tiny_models import tiny_classifier, tiny_sentiment
from tests.models.tiny_vision import tiny_git
from tests.tasks.images.test_what_people_see import scan_bomb

pytestmark = pytest.mark.usefixtures("warm_workers")
ALICE = Requester(user_id=1)
LONG = 60


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"path:{tiny_sentiment(tmp_path_factory.mktemp('models') / 'tiny')}"


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    settings = load_settings()
    executor = LocalExecutor(
        [WorkerOptions(Device("cpu", threads=1, precision="fp32"), settings.tasks)], job_timeout_s=60.0
    )
    limits = QueueSettings(shutdown_grace_s=0.0)
    engine = Engine(executor=executor, store=NoStore(), tasks=settings.tasks, limits=limits)
    await engine.start()
    yield engine
    await engine.close()
    assert multiprocessing.active_children() == []


async def test_models_that_were_unloaded_in_idle_time_are_cold(tiny: str) -> None:
    options = WorkerOptions(Device("cpu", threads=1, precision="fp32"), load_settings().tasks, idle_unload_s=1.0)
    engine = Engine(
        executor=LocalExecutor([options]),
        store=NoStore(),
        tasks=options.tasks,
        limits=QueueSettings(shutdown_grace_s=0),
    )
    await engine.start()
    try:
        job = await engine.submit("sentiment", SentimentRequest(model=tiny, text="fine"), ALICE)
        await job.outcome()
        assert engine.models == {tiny: None}
        await until(lambda: not engine.models, within_s=60)
    finally:
        await engine.close()


def device_of(engine: Engine) -> LocalDevice:
    (device,) = engine.executor.devices
    assert isinstance(device, LocalDevice)
    return device


async def reported(device: LocalDevice) -> None:
    """Wait for the report on the first batch, which comes after its answers and says what is loaded."""
    await until(lambda: device.loaded, within_s=60)


async def start_picture(engine: Engine, steps: int = LONG) -> Job:
    """Start a picture and wait until its first step is done."""
    prepare(["emoji-sd"])
    request = ImagineRequest(model="bundled:emoji-sd", prompt="a red heart", seed=1, steps=steps)
    job = await engine.submit("imagine", request, ALICE)
    async for status in job.follow():
        if status.step:
            break
    return job


async def test_texts_are_classified_in_one_batch(engine: Engine, tiny: str) -> None:
    texts = ["a good day", "bad", "good " * 100, "day"]
    jobs = [await engine.submit("sentiment", SentimentRequest(model=tiny, text=text), ALICE) for text in texts]
    results = await asyncio.gather(*(job.outcome() for job in jobs))
    assert all(isinstance(result, SentimentResult) for result in results)
    assert [getattr(result, "truncated", None) for result in results] == [False, False, True, False]
    assert sum(getattr(results[0], "scores", {}).values()) == pytest.approx(1.0, abs=1e-4)
    await reported(device_of(engine))
    assert set(device_of(engine).loaded) == {tiny}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux shows a process's files")
async def test_what_libraries_print_is_kept_off_standard_output(engine: Engine, tiny: str) -> None:
    await (await engine.submit("sentiment", SentimentRequest(model=tiny, text="good"), ALICE)).outcome()
    files = Path(f"/proc/{device_of(engine).pid}/fd")
    assert (files / "1").samefile(files / "2")


async def test_a_missing_model_is_a_sentence_and_the_worker_goes_on(engine: Engine, tiny: str, tmp_path: Path) -> None:
    bad = await engine.submit("sentiment", SentimentRequest(model=f"path:{tmp_path}/nowhere", text="x"), ALICE)
    with pytest.raises(UserError, match="on this server yet"):
        await bad.outcome()
    good = await engine.submit("sentiment", SentimentRequest(model=tiny, text="good"), ALICE)
    assert (await good.outcome()).model == "tiny"


async def test_a_model_of_another_kind_is_refused_and_the_host_told_why(engine: Engine, tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path / "vit")
    bad = await engine.submit("sentiment", SentimentRequest(model=f"path:{folder}", text="x"), ALICE)
    with pytest.raises(UserError, match="on this server yet") as error:
        await bad.outcome()
    assert "It is ViTForImageClassification" in error.value.values["hint"]


async def test_a_killed_worker_comes_back_and_the_job_is_done(engine: Engine) -> None:
    job = await start_picture(engine)
    first = device_of(engine).pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    result = await job.outcome()
    assert isinstance(result, ImagineResult)
    assert (job.attempts, job.state) == (2, JobState.DONE)
    assert device_of(engine).pid not in (None, first)


async def test_a_signal_to_the_whole_group_leaves_the_worker_to_the_bot(engine: Engine) -> None:
    job = await start_picture(engine, steps=4)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(device_of(engine).pid or 0, number)
    assert isinstance(await job.outcome(), ImagineResult)
    assert job.attempts == 1


@pytest.fixture
async def captioning(tmp_path: Path) -> AsyncIterator[Engine]:
    prepare(["emoji-sd"])
    describe = {"models": [f"path:{tiny_git(tmp_path / 'git')}"]}
    tasks = parse_settings({"imagine": {"alt_text": "caption"}, "describe": describe}).tasks
    executor = LocalExecutor([WorkerOptions(Device("cpu", threads=1, precision="fp32"), tasks)])
    engine = Engine(executor=executor, store=NoStore(), tasks=tasks, limits=QueueSettings(shutdown_grace_s=0))
    await engine.start()
    yield engine
    await engine.close()


async def captioned(engine: Engine) -> list[str]:
    request = ImagineRequest(model="bundled:emoji-sd", prompt="a cat", seed=1, steps=2, count=2)
    job = await engine.submit("imagine", request, ALICE)
    result = await job.outcome()
    assert isinstance(result, ImagineResult)
    assert all(picture.png for picture in result.pictures)
    assert (job.attempts, job.state) == (1, JobState.DONE)
    assert job.seconds > 0
    return [picture.caption for picture in result.pictures]


async def test_a_worker_that_dies_of_captions_leaves_the_pictures(
    captioning: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = Drafts.hear

    def kill(drafts: Drafts, on_event: OnEvent, event: Event) -> None:
        hear(drafts, on_event, event)
        if isinstance(event, Drafted):
            os.kill(device_of(captioning).pid or 0, signal.SIGKILL)

    monkeypatch.setattr(Drafts, "hear", kill)
    assert await captioned(captioning) == ["", ""]


async def test_pictures_wait_for_their_captions_but_not_for_long(
    captioning: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.workers.provisional.PATIENCE_S", 0.0)
    assert await captioned(captioning) == ["", ""]
    monkeypatch.undo()
    assert all(await captioned(captioning))
    await reported(device_of(captioning))
    assert len(device_of(captioning).loaded) == 2


async def test_a_running_picture_stops_at_the_next_step(engine: Engine) -> None:
    job = await start_picture(engine, steps=100)
    engine.cancel(job.id)
    with pytest.raises(JobCancelled):
        await job.outcome()
    assert job.status.step < 100


async def test_a_cancel_ends_the_decoding_of_a_picture(engine: Engine, tmp_path: Path, tiny: str) -> None:
    model = f"path:{tiny_classifier(tmp_path / 'vit')}"
    small, large = (ClassifyRequest(model=model, image=picture(side)) for side in (16, 7_000))
    await (await engine.submit("classify", small, ALICE)).outcome()
    pid = device_of(engine).pid
    job = await engine.submit("classify", large, ALICE)
    async for status in job.follow():
        if status.state is JobState.RUNNING:
            break
    engine.cancel(job.id)
    with pytest.raises(JobCancelled):
        await job.outcome()
    await (await engine.submit("sentiment", SentimentRequest(model=tiny, text="good"), ALICE)).outcome()
    assert device_of(engine).pid == pid


async def test_a_picture_that_takes_too_long_is_refused_once(engine: Engine, tmp_path: Path) -> None:
    model = f"path:{tiny_classifier(tmp_path / 'vit')}"
    bomb, small = (ClassifyRequest(model=model, image=image) for image in (scan_bomb(5_000), picture(16)))
    refused = await engine.submit("classify", bomb, ALICE)
    other = await engine.submit("classify", small, Requester(user_id=2))
    with pytest.raises(BadInput, match="takes too long"):
        await refused.outcome()
    assert (await other.outcome()).model == "vit"
    assert (refused.attempts, other.attempts) == (1, 1)


def picture(side: int) -> bytes:
    """Return a PNG file of one colour."""
    file = io.BytesIO()
    Image.new("RGBA", (side, side), "red").save(file, "PNG", compress_level=1)
    return file.getvalue()


async def test_a_hanging_worker_is_restarted(tiny: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = load_settings()
    options = WorkerOptions(Device("cpu", threads=1, precision="fp32"), settings.tasks)
    device = LocalDevice(options, name="cpu", job_timeout_s=600.0)
    executor = LocalExecutor([])
    executor.devices = [device]
    engine = Engine(executor=executor, store=NoStore(), tasks=settings.tasks, limits=QueueSettings(shutdown_grace_s=0))
    await engine.start()
    await (await engine.submit("sentiment", SentimentRequest(model=tiny, text="good"), ALICE)).outcome()
    await reported(device)
    device._job_timeout_s = 1.0
    hanging = device.pid
    assert hanging is not None
    os.kill(hanging, signal.SIGSTOP)
    job = await engine.submit("sentiment", SentimentRequest(model=tiny, text="bad"), ALICE)
    await until(lambda: device.pid not in (hanging, None), within_s=60)
    device._job_timeout_s = 600.0  # loading the model may take longer than the second that was enough to test
    assert isinstance(await job.outcome(), SentimentResult)
    assert [message for message in caplog.messages if "was silent" in message] == [
        "the worker of cpu was silent for 1 s: restarting it"
    ]
    await engine.close()


def two_devices(first: str) -> Engine:
    """Return an engine with a healthy CPU beside another device."""
    settings = load_settings()
    names = (first, "cpu")
    executor = LocalExecutor([WorkerOptions(Device(n, threads=1, precision="fp32"), settings.tasks) for n in names])
    limits = QueueSettings(shutdown_grace_s=0.0)
    return Engine(executor=executor, store=NoStore(), tasks=settings.tasks, limits=limits)


async def test_a_device_that_cannot_be_opened_leaves_the_jobs_to_another(
    tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.workers.local._FIRST_BACKOFF_S", 0.01)
    engine = two_devices("cuda:9")
    await engine.start()
    broken = engine.executor.devices[0]
    text = SentimentRequest(model=tiny, text="good")
    jobs = [await engine.submit("sentiment", text, ALICE) for _ in range(4)]
    await until(lambda: broken.unproven, within_s=60)
    jobs += [await engine.submit("sentiment", text, ALICE) for _ in range(4)]
    await asyncio.gather(*(job.outcome() for job in jobs))
    assert {job.attempts for job in jobs} == {1}
    await engine.close()


async def test_a_worker_is_started_at_last_when_the_machine_has_room_again(
    engine: Engine, tiny: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text, device = SentimentRequest(model=tiny, text="good"), device_of(engine)
    await (await engine.submit("sentiment", text, ALICE)).outcome()
    start, full = LocalDevice.start, [OSError(11, "no room"), ValueError("something else")]

    def start_with_room(device: LocalDevice) -> WorkerProcess:
        if full:
            raise full.pop()
        return start(device)

    monkeypatch.setattr("bot.workers.local._FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(LocalDevice, "start", start_with_room)
    os.kill(device.pid or 0, signal.SIGKILL)
    await until(lambda: device.pid is None, within_s=60)
    job = await engine.submit("sentiment", text, ALICE)
    assert isinstance(await job.outcome(), SentimentResult)
    assert len([message for message in caplog.messages if "can be started" in message]) == 2


async def test_a_worker_that_cannot_be_killed_is_left_behind(
    engine: Engine, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, device = SentimentRequest(model=tiny, text="good"), device_of(engine)
    await (await engine.submit("sentiment", text, ALICE)).outcome()
    await reported(device)
    lost, hanging = device._worker, device.pid
    assert lost is not None
    assert hanging is not None
    monkeypatch.setattr("bot.workers.local._KILL_S", 0.05)
    monkeypatch.setattr(lost, "kill", lambda: None)
    monkeypatch.setattr("bot.workers.worker_process._JOIN_S", 0.05)
    device._job_timeout_s = 0.1
    os.kill(hanging, signal.SIGSTOP)
    job = await engine.submit("sentiment", text, ALICE)
    await asyncio.wait_for(lost.dead.wait(), 30)
    device._job_timeout_s = 600.0
    assert isinstance(await job.outcome(), SentimentResult)
    assert device.pid != hanging
    os.kill(hanging, signal.SIGKILL)
    await asyncio.to_thread(lost.process.join)


async def test_closing_does_not_wait_for_a_worker_that_still_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.workers.local._STOP_GRACE_S", float(LONG))
    options = WorkerOptions(Device("cpu", threads=1), load_settings().tasks)
    device = LocalDevice(options, name="cpu", job_timeout_s=LONG)
    process = device.start().process
    assert process.pid
    os.kill(process.pid, signal.SIGSTOP)
    async with asyncio.timeout(LONG / 4):
        await device.close()
    assert process.exitcode == -signal.SIGKILL


async def test_closing_in_the_middle_of_a_picture_leaves_no_process(engine: Engine) -> None:
    job = await start_picture(engine, steps=100)
    pid = device_of(engine).pid
    assert pid is not None
    await asyncio.wait_for(engine.close(), 10)
    assert not psutil.pid_exists(pid)
    assert job.state is JobState.QUEUED


async def test_short_jobs_are_served_while_a_picture_is_made(engine: Engine, tiny: str) -> None:
    text = SentimentRequest(model=tiny, text="a good day")
    await (await engine.submit("sentiment", text, ALICE)).outcome()
    await (await start_picture(engine, steps=4)).outcome()
    job = await start_picture(engine, steps=100)
    for _ in range(3):
        short = await engine.submit("sentiment", text, Requester(user_id=2))
        assert isinstance(await short.outcome(), SentimentResult)
        assert job.state is JobState.RUNNING
    engine.cancel(job.id)
    with pytest.raises(JobCancelled):
        await job.outcome()
