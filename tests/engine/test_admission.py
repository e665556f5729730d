"""Test who is refused, and when they are told to come back."""

from __future__ import annotations

import pytest

from bot.config import QueueSettings
from bot.engine.admission import Admission
from bot.engine.job import Job, Requester
from bot.errors import Refused
from tests.engine.samples import sample_job

MINUTE_S = 60


def _full(*ends_in_s: float | None, **limits: int) -> Admission:
    """Return an admission with one job of alice for each of these ends."""
    ends: dict[str, float | None] = {}
    admission = Admission(QueueSettings(**limits), lambda job: ends.get(job.id))  # type: ignore[arg-type]
    for end in ends_in_s:
        job = sample_job()
        admission.hold(job)
        ends[job.id] = end
    return admission


def _refusal(admission: Admission, job: Job) -> Refused:
    with pytest.raises(Refused) as refused:
        admission.check(job)
    return refused.value


@pytest.mark.parametrize(
    ("ends_in_s", "retry", "seconds"),
    [
        ((4 * MINUTE_S, 9 * MINUTE_S), "Try again in 4 minutes, or stop one with /cancel.", 4 * MINUTE_S),
        ((9 * MINUTE_S, 4 * MINUTE_S), "Try again in 4 minutes, or stop one with /cancel.", 4 * MINUTE_S),
        ((0.1, 9 * MINUTE_S), "Try again in 5 seconds, or stop one with /cancel.", 5),
        ((None, 40), "Try again in 40 seconds, or stop one with /cancel.", 40),
        ((None, None), "Try again when one is done, or stop one with /cancel.", None),
    ],
)
def test_a_place_is_free_when_the_first_job_ends(
    ends_in_s: tuple[float | None, ...], retry: str, seconds: float | None
) -> None:
    refused = _refusal(_full(*ends_in_s, per_user=2), sample_job())
    assert str(refused) == f"At most 2 of your jobs can wait or run here. {retry}"
    assert refused.values.get("retry_after_s") == seconds


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"per_guild": 1}, "At most 1 of this server's jobs can wait or run. Try again in 2 minutes."),
        ({"capacity": 1}, "The queue is full: at most 1 jobs can wait or run. Try again in 2 minutes."),
    ],
)
def test_the_limit_that_is_reached_is_named(limits: dict[str, int], sentence: str) -> None:
    assert str(_refusal(_full(2 * MINUTE_S, **limits), sample_job(user=2))) == sentence


def test_limits_count_people_and_guilds_alone() -> None:
    admission = _full(1, per_user=1, per_guild=1)
    admission.check(sample_job(guild=2))
    admission.check(sample_job(guild=None))
    admission.hold(sample_job(guild=None))
    admission.check(sample_job(user=2, guild=None))
    with pytest.raises(Refused, match="of your jobs"):
        admission.check(sample_job(guild=None))


@pytest.mark.parametrize(("limits", "most"), [({"per_user_total": 1}, 1), ({"per_user": 1}, 2)])
def test_a_person_has_a_limit_in_all_guilds_together(limits: dict[str, int], most: int) -> None:
    admission = _full(**limits)
    for guild in range(most):
        admission.hold(sample_job(guild=guild))
    for elsewhere in (most, None):
        assert str(_refusal(admission, sample_job(guild=elsewhere))) == (
            f"At most {most} of your jobs can wait or run in all servers together. Try again when one is done."
        )
    admission.check(sample_job(user=2, guild=most))


def test_pictures_take_no_more_memory_than_they_may() -> None:
    admission = _full(capacity_mb=2)
    large = sample_job(input_bytes=2_500_000)
    admission.check(large)  # alone it is let in, whatever the limit
    admission.hold(large)
    admission.check(sample_job())
    assert str(_refusal(admission, sample_job(user=2, input_bytes=1))) == (
        "The queue has no room for more pictures: they take 2 MB at most. Try again when one is done."
    )
    admission.release(large)
    admission.hold(sample_job(input_bytes=1_500_000))
    admission.check(sample_job(input_bytes=500_000))
    with pytest.raises(Refused, match="no room for more pictures"):
        admission.check(sample_job(input_bytes=500_001))


def test_a_released_job_leaves_room_and_no_trace() -> None:
    admission = _full(per_user=1)
    job = sample_job()
    admission.hold(job)
    assert list(admission.of_person(job.requester)) == list(admission.of_guild(job.requester)) == [job]
    for _ in range(2):
        admission.release(job)
    admission.check(job)
    assert admission.jobs == {}
    assert not admission.of_person(job.requester)
    assert not admission.of_guild(Requester(user_id=2, guild_id=1))
