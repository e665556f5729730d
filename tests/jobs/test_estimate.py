"""Test estimates and forecasts."""

from __future__ import annotations

import pytest

from bot.jobs.estimate import Estimator
from bot.jobs.forecast import forecast
from tests.jobs.samples import SampleRequest, sample_job


def test_learns_seconds_per_unit() -> None:
    estimator = Estimator()
    estimator.learn([SampleRequest(model="m", length=10), SampleRequest(model="m", length=30)], 4.0)
    assert estimator.seconds(SampleRequest(model="m", length=20)) == pytest.approx(2.0)


def test_follows_changes_slowly() -> None:
    estimator = Estimator({"m": 1.0})
    estimator.learn([SampleRequest(model="m")], 2.0)
    assert 1.0 < estimator.seconds(SampleRequest(model="m")) < 1.5


def test_nothing_is_learned_from_nothing() -> None:
    estimator = Estimator()
    estimator.learn([], 3.0)
    estimator.learn([SampleRequest(model="m")], 0.0)
    assert estimator.seconds_per_unit == {}


def test_forecast_fills_devices_in_turn() -> None:
    jobs = [sample_job() for _ in range(4)]
    forecast(jobs, Estimator({"m": 10.0}), remaining_s=[5.0, 1.0], devices=2)
    assert [job.status.ahead for job in jobs] == [0, 1, 2, 3]
    assert [job.status.starts_in_s for job in jobs] == [1, 5, 11, 15]
