"""Test that a message which can't be sent, read or used ends the worker, on either side of the pipe."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from multiprocessing.connection import Connection
from typing import Any

import psutil
import pytest

from bot.machine.device import Device
from bot.tasks.base import Request
from bot.workers import worker_process
from bot.workers.executor import WorkerDied
from bot.workers.local import LocalDevice
from bot.workers.main import WorkerOptions
from bot.workers.protocol import Batch, BatchItem, BatchReport, Ready, Started
from bot.workers.worker_process import WorkerProcess
from tests.fakes.waiting import until
from tests.workers.test_inbox import Unreadable

pytestmark = pytest.mark.usefixtures("warm_workers")
OPTIONS = WorkerOptions(Device("cpu", threads=1), {})
REQUEST = Request(model="m")


def quiet_worker(connection: Connection, _options: WorkerOptions) -> None:
    """Open a device, and say nothing more."""
    connection.send(Ready(os.getpid(), 1))
    time.sleep(600)


def unreadable_worker(connection: Connection, _options: WorkerOptions) -> None:
    """Send what can't be read."""
    connection.send(Ready(os.getpid(), 1))
    connection.send(Unreadable())
    time.sleep(600)


def wrong_worker(connection: Connection, _options: WorkerOptions) -> None:
    """Send events of a batch that nobody handed over."""
    connection.send((7, (Started(),)))
    time.sleep(600)


def working_worker(connection: Connection, _options: WorkerOptions) -> None:
    """Take a batch and report at once."""
    connection.send(Ready(os.getpid(), 1))
    connection.recv()
    connection.send((0, (Started(), BatchReport(1.0))))
    time.sleep(600)


Start = Callable[[Callable[..., None]], WorkerProcess]


@pytest.fixture
async def start(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Start workers that do as a function says."""
    started: list[WorkerProcess] = []

    def start(main: Callable[..., None]) -> WorkerProcess:
        monkeypatch.setattr(worker_process, "worker_main", main)
        started.append(WorkerProcess(OPTIONS, name="cpu", on_open=lambda: None, on_death=lambda: None))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        await process.join()


async def gone(process: WorkerProcess) -> bool:
    """Wait until the bot knows that a process is lost; say whether the system knows none either."""
    async with asyncio.timeout(30):
        await process.dead.wait()
    await process.join()
    return not psutil.pid_exists(process.process.pid or 0)


async def opened(process: WorkerProcess) -> None:
    await asyncio.wait_for(process.opened_or_dead.wait(), 30)
    assert process.ready


@pytest.mark.parametrize("main", [unreadable_worker, wrong_worker])
async def test_what_a_worker_says_cannot_be_read_or_used(
    start: Start, main: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    assert await gone(start(main))
    assert "so it is ended" in caplog.text


async def test_a_request_that_cannot_be_sent(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    process = start(quiet_worker)
    await opened(process)
    unsendable: Any = lambda: None  # noqa: E731 - functions can't be pickled
    pending = process.run(Batch("task", (BatchItem("a", unsendable),)), lambda _: None)
    with pytest.raises(WorkerDied):
        await asyncio.wait_for(pending.report, 30)
    assert await gone(process)
    assert "can't be sent" in caplog.text


async def test_an_event_that_its_receiver_cannot_use(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_event: object) -> None:
        raise ValueError("no")

    process = start(working_worker)
    pending = process.run(Batch("task", (BatchItem("a", REQUEST),)), refuse)
    with pytest.raises(WorkerDied):
        await asyncio.wait_for(pending.report, 30)
    assert await gone(process)
    assert "can't be used" in caplog.text


class Large(Request):
    """Be a request with a file of 50 MB."""

    @property
    def input_bytes(self) -> int:
        return 50_000_000


async def test_files_that_are_sent_ahead_are_bounded(start: Start) -> None:
    process = start(quiet_worker)
    for number in range(5):
        process.prefetch("task", BatchItem(str(number), Large(model="m")))
    process.prefetch("task", BatchItem("text", REQUEST))
    assert list(process.ahead) == ["0", "1", "text"]
    process.forget("1")
    process.prefetch("task", BatchItem("4", Large(model="m")))
    assert list(process.ahead) == ["0", "text", "4"]


async def test_a_process_whose_threads_cannot_start_is_not_left_behind(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(psutil.Process().children(recursive=True))

    def full(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", full)
    with pytest.raises(RuntimeError):
        start(quiet_worker)
    monkeypatch.undo()
    await until(lambda: set(psutil.Process().children(recursive=True)) <= before)


async def test_a_device_whose_lost_worker_cannot_be_waited_for_comes_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_process: WorkerProcess) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(worker_process, "worker_main", quiet_worker)
    monkeypatch.setattr("bot.workers.local._FIRST_BACKOFF_S", 0.01)
    device = LocalDevice(OPTIONS, name="cpu", job_timeout_s=600.0)
    lost = device.start()
    await opened(lost)
    with monkeypatch.context() as patch:
        patch.setattr(WorkerProcess, "join", fail)
        lost.kill()
        await until(lambda: device.pid not in (None, lost.process.pid), within_s=60)
    assert "can't be waited for" in caplog.text
    await until(lambda: device.available, within_s=60)
    await device.close()
    await lost.join()
