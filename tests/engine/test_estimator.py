"""Test estimates and forecasts."""

from __future__ import annotations

from typing import Any

import pytest

from bot.engine.estimator import Estimator
from bot.engine.forecast import Forecast
from bot.engine.job import Job
from bot.tasks.imagine.task import ImagineRequest
from tests.engine.samples import SampleRequest, sample_job


def test_learns_seconds_per_unit() -> None:
    estimator = Estimator()
    estimator.learn([SampleRequest(model="m", length=10), SampleRequest(model="m", length=30)], 4.0)
    assert estimator.seconds(SampleRequest(model="m", length=20)) == pytest.approx(2.0)


def test_follows_changes_slowly() -> None:
    estimator = Estimator({"m": 1.0})
    estimator.learn([SampleRequest(model="m")], 2.0)
    assert 1.0 < estimator.seconds(SampleRequest(model="m")) < 1.5


def test_what_was_not_measured_for_longest_is_forgotten() -> None:
    estimator = Estimator()
    for number in range(1_500):
        estimator.learn([SampleRequest(model="often")], 1.0)
        estimator.learn([SampleRequest(model=f"m{number}")], 1.0)
    known = list(estimator.seconds_per_unit)
    assert len(known) == 1_000
    assert known[-2:] == ["often", "m1499"]
    assert "m0" not in known


def test_nothing_is_learned_from_nothing() -> None:
    estimator = Estimator()
    estimator.learn([], 3.0)
    estimator.learn([SampleRequest(model="m")], 0.0)
    assert estimator.seconds_per_unit == {}


def test_a_close_description_and_the_same_device_count_first() -> None:
    request = ImagineRequest(model="m", prompt="x", seed=1, steps=10)
    estimator = Estimator()
    estimator.learn([ImagineRequest(model="m", prompt="x", seed=1, steps=50)], 100.0, "cpu")
    assert estimator.seconds(request) == pytest.approx(20.0)
    estimator.learn([request], 30.0, "cuda:0")
    assert estimator.seconds(request, "cuda:0") == pytest.approx(30.0)
    assert estimator.seconds(request, "cuda:1") == pytest.approx(30.0)
    assert not estimator.knows(ImagineRequest(model="n", prompt="x", seed=1))


def forecast(jobs: list[Job], free_in_s: list[float], **options: Any) -> list[float | None]:
    Forecast(list(free_in_s), **{"seconds": lambda _: 10.0, "rows": lambda _: 1, **options}).apply(jobs)
    assert [job.status.ahead for job in jobs] == list(range(len(jobs)))
    return [job.status.starts_in_s for job in jobs]


def test_forecast_fills_devices_in_turn() -> None:
    assert forecast([sample_job() for _ in range(4)], [5.0, 1.0]) == [1, 5, 11, 15]


def test_forecast_knows_that_jobs_share_batches() -> None:
    jobs = [sample_job(kind=kind) for kind in "abaab"]
    assert forecast(jobs, [0.0], rows=lambda _: 2) == [0, 10, 0, 30, 10]


def test_forecast_knows_that_short_jobs_run_inside_of_long_ones() -> None:
    assert forecast([sample_job() for _ in range(3)], [60.0], interleave_in_s=2.0, guest_share=0.5) == [2, 22, 42]


def test_forecast_tells_no_time_that_it_does_not_know() -> None:
    assert forecast([sample_job() for _ in range(3)], [4.0], seconds=lambda _: None) == [4, None, None]
    assert forecast([sample_job()], []) == [None]
