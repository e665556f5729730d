"""Test when progress is shown first: at once for who waits long, and not at all for what is quick."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from bot.bot import Bot
from bot.engine.job import Job, JobState
from bot.replies.delivery import Delivery
from bot.replies.progress import show_progress
from tests.engine.samples import sample_job


class _Message:
    """Keep what is shown."""

    edit_every_s = 1.0

    def __init__(self) -> None:
        self.shown: list[str] = []

    async def progress(self, text: str) -> bool:
        self.shown.append(text)
        return True


async def _shown_at_once(job: Job) -> list[str]:
    """Return what is shown before any time has passed."""
    message = _Message()
    following = asyncio.create_task(show_progress(job, cast("Delivery", message), lambda: True))
    for _ in range(5):
        await asyncio.sleep(0)
    job.finish(JobState.CANCELLED)
    assert await following
    return message.shown


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"ahead": 7, "starts_in_s": 240}, "7 ahead, starts <t:"),
        ({"ahead": 0, "starts_in_s": 240}, "Next in line, starts <t:"),
        ({"ahead": 7}, "7 ahead."),
    ],
)
async def test_who_waits_long_is_told_at_once(status: dict[str, Any], shown: str) -> None:
    job = sample_job()
    job.update(**status)
    (text,) = await _shown_at_once(job)
    assert text.startswith(shown)


@pytest.mark.parametrize(
    "status",
    [{}, {"ahead": 0}, {"ahead": 3, "starts_in_s": 1}, {"state": JobState.RUNNING}],
)
async def test_what_may_be_quick_is_given_a_moment(status: dict[str, Any]) -> None:
    job = sample_job()
    job.update(**status)
    assert await _shown_at_once(job) == []


async def test_progress_that_comes_after_the_end_is_not_shown(bot: Bot) -> None:
    job = sample_job()  # it has no address: showing something would fail
    job.finish(JobState.CANCELLED)
    assert await Delivery(bot, job).progress("step 1 of 4")
