"""Test that deadlines are kept for no longer than jobs wait."""

from __future__ import annotations

import time

from bot.engine.deadlines import Deadlines
from tests.engine.samples import sample_job


def test_jobs_that_had_their_turn_are_forgotten() -> None:
    waiting: set[str] = set()
    deadlines = Deadlines(waiting.__contains__)
    patient = sample_job()
    patient.expires_at = time.time() + 3_600
    waiting.add(patient.id)
    deadlines.push(patient)
    for _ in range(5_000):
        job = sample_job()
        job.expires_at = patient.expires_at
        deadlines.push(job)
    assert len(deadlines._heap) < 1_100
    assert patient.id in {job_id for _, job_id in deadlines._heap}
