"""Test what people read about a job that isn't done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.engine.job import Job, JobState, Requester
from bot.replies.job_progress import ProgressText
from bot.tasks.sentiment.task import SentimentRequest

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Tell a time that the test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("discord.utils.utcnow", clock)
    return clock


@pytest.fixture
def job() -> Job:
    return Job(request=SentimentRequest(model="m", text="x"), requester=Requester(user_id=1), task="sentiment")


def _at(seconds: float) -> str:
    return f"<t:{round(NOW.timestamp() + seconds)}:R>"


@pytest.mark.usefixtures("clock")
def test_a_place_in_the_queue(job: Job) -> None:
    progress = ProgressText(job)
    assert progress.text() == "Waiting…"
    job.update(ahead=3)
    assert progress.text() == "3 ahead."
    job.update(starts_in_s=40)
    assert progress.text() == f"3 ahead, starts {_at(40)}."
    job.update(ahead=0, starts_in_s=100)
    assert progress.text() == f"Next in line, starts {_at(100)}."
    job.update(starts_in_s=None)
    assert progress.text() == "Next in line."


def test_a_start_is_only_moved_when_the_forecast_moved_by_more_than_a_little(job: Job, clock: Clock) -> None:
    progress = ProgressText(job)
    job.update(ahead=0, starts_in_s=60)
    first = progress.text()
    for passed_s, starts_in_s in ((1, 60), (10, 65), (20, 30)):
        clock.now = NOW + timedelta(seconds=passed_s)
        job.update(starts_in_s=starts_in_s)
        assert progress.text() == first
    job.update(starts_in_s=60)
    assert progress.text() == f"Next in line, starts {_at(80)}."


def test_a_start_is_never_past(job: Job, clock: Clock) -> None:
    progress = ProgressText(job)
    job.update(ahead=0, starts_in_s=10)
    assert progress.text() == f"Next in line, starts {_at(10)}."
    clock.now = NOW + timedelta(seconds=11)
    job.update(starts_in_s=8)
    assert progress.text() == f"Next in line, starts {_at(19)}."
    job.update(starts_in_s=0)
    assert progress.text() == "Next in line, starts soon."


def test_what_runs(job: Job) -> None:
    progress = ProgressText(job)
    job.update(state=JobState.RUNNING)
    assert progress.text() == "Running…"
    job.update(loading=0.0)
    assert progress.text() == "Loading the model…"
    job.update(loading=0.256)
    assert progress.text() == "Fetching the model, 26%"
    job.update(loading=None, step=3, steps=4)
    assert progress.text() == "▰▰▰▰▰▰▰▰▱▱ step 3 of 4"


def test_who_waits_for_a_download_sees_how_far_it_is(job: Job) -> None:
    job.update(loading=0.43)
    assert (job.state, ProgressText(job).text()) == (JobState.QUEUED, "Fetching the model, 43%")
