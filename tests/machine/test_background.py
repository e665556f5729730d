"""Test that background tasks never end in silence."""

from __future__ import annotations

import asyncio

import pytest

from bot.machine import background
from bot.machine.background import BackgroundTasks


async def test_a_failure_is_logged_with_the_tasks_name(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("the reason")

    tasks = BackgroundTasks()
    await asyncio.wait([tasks.spawn(fail(), name="sweep")])
    await asyncio.sleep(0)
    assert "“sweep” failed" in caplog.text
    assert "the reason" in caplog.text
    assert len(tasks) == 0


async def test_a_repeated_step_goes_on_after_it_failed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "_FIRST_PAUSE_S", 0.0)
    done, count = asyncio.Event(), 0

    async def step() -> None:
        nonlocal count
        count += 1
        if count < 3:
            raise OSError("try again")
        done.set()

    tasks = BackgroundTasks()
    tasks.repeat(step, every_s=0.0, name="look")
    await asyncio.wait_for(done.wait(), 10)
    await tasks.close()
    assert caplog.text.count("“look” failed") == 2


async def test_closing_ends_all_of_them() -> None:
    tasks = BackgroundTasks()
    task = tasks.spawn(asyncio.Event().wait(), name="wait")
    await tasks.close()
    assert task.cancelled()
    assert len(tasks) == 0
