"""Test fair order, batches and removal."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs.job import Job
from bot.jobs.queue import BatchLimits, JobQueue
from tests.jobs.samples import sample_job


def make_queue(*, rows: int = 1, padded: int = 1 << 62, fill: float = 0.0) -> JobQueue:
    """Return a queue where every job costs one second."""
    return JobQueue(cost=lambda _: 1.0, limits=lambda _: BatchLimits(rows=rows, padded=padded, fill=fill))


def drain(queue: JobQueue) -> list[Job]:
    """Return all jobs in the order in which they go."""
    out: list[Job] = []
    while len(queue):
        out += queue.pop_batch()
    return out


def test_one_person_goes_in_order() -> None:
    queue = make_queue()
    jobs = [sample_job() for _ in range(5)]
    for job in jobs:
        queue.push(job)
    assert drain(queue) == jobs


def test_a_newcomer_waits_for_one_batch_at_most() -> None:
    queue = make_queue()
    for _ in range(500):
        queue.push(sample_job(user=1))
    for _ in range(10):
        queue.pop_batch()
    newcomer = sample_job(user=2)
    queue.push(newcomer)
    assert queue.pop_batch() == [newcomer]


def test_a_small_guild_is_not_crowded_out() -> None:
    queue = make_queue()
    for user in range(1_000):
        queue.push(sample_job(user=user, guild=1))
    small = [sample_job(user=5_000, guild=2) for _ in range(3)]
    for job in small:
        queue.push(job)
    order = drain(queue)
    assert max(order.index(job) for job in small) <= 6


def test_direct_messages_are_lanes_of_their_own() -> None:
    queue = make_queue()
    for _ in range(10):
        queue.push(sample_job(user=1, guild=None))
    other = sample_job(user=2, guild=None)
    queue.push(other)
    assert drain(queue).index(other) <= 1


def test_weight_gives_a_larger_share() -> None:
    queue = make_queue()
    for _ in range(90):
        queue.push(sample_job(user=1, weight=2.0))
        queue.push(sample_job(user=2, weight=1.0))
    counts = Counter(job.requester.user_id for job in drain(queue)[:90])
    assert counts[1] == pytest.approx(60, abs=2)


def test_idle_lanes_save_no_credit() -> None:
    queue = make_queue()
    for _ in range(100):
        queue.push(sample_job(user=1))
    queue.push(sample_job(user=2))
    for _ in range(50):
        queue.pop_batch()
    for _ in range(20):
        queue.push(sample_job(user=2))
    counts = Counter(job.requester.user_id for job in drain(queue)[:20])
    assert 8 <= counts[2] <= 12


def test_expensive_jobs_are_charged_for() -> None:
    queue = JobQueue(cost=lambda job: float(job.request.size), limits=lambda _: BatchLimits(rows=1))
    for _ in range(20):
        queue.push(sample_job(user=1, length=10))
    for _ in range(200):
        queue.push(sample_job(user=2, length=1))
    seconds: defaultdict[int, int] = defaultdict(int)
    for _ in range(110):
        job = queue.pop_batch()[0]
        seconds[job.requester.user_id] += job.request.size
    assert abs(seconds[1] - seconds[2]) <= 20


def test_a_batch_takes_neighbours_in_length_across_users() -> None:
    queue = make_queue(rows=3)
    lengths = [100, 7, 103, 50, 98, 1]
    jobs = [sample_job(user=i, length=length) for i, length in enumerate(lengths)]
    for job in jobs:
        queue.push(job)
    assert sorted(job.request.size for job in queue.pop_batch()) == [98, 100, 103]


def test_a_batch_keeps_its_budget_and_fill() -> None:
    queue = make_queue(rows=16, padded=250, fill=0.8)
    for length in (100, 99, 98, 10):
        queue.push(sample_job(length=length))
    assert [len(queue.pop_batch()) for _ in range(3)] == [2, 1, 1]


def test_only_jobs_of_one_key_share_a_batch() -> None:
    queue = make_queue(rows=8)
    for kind in "abab":
        queue.push(sample_job(kind=kind))
    assert {job.request.batch_key for job in queue.pop_batch()} == {"a"}
    assert {job.request.batch_key for job in queue.pop_batch()} == {"b"}


def test_what_goes_back_comes_first_again() -> None:
    queue = make_queue()
    jobs = [sample_job() for _ in range(3)]
    for job in jobs:
        queue.push(job)
    first = queue.pop_batch()[0]
    queue.push(first, front=True)
    assert drain(queue) == jobs


def test_removing_what_is_not_there() -> None:
    assert make_queue().remove("nobody") is None


def test_upcoming_is_the_order_in_which_jobs_go() -> None:
    queue = make_queue()
    for user, guild in itertools.product(range(4), range(3)):
        for _ in range(user + 1):
            queue.push(sample_job(user=user, guild=guild))
    expected = list(queue.upcoming())
    assert drain(queue) == expected


Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(st.sampled_from(["push", "push", "pop", "cancel"]), st.integers(0, 4), st.integers(0, 2)), max_size=120
)


@given(steps)
def test_no_job_is_lost_or_doubled(moves: list[Step]) -> None:
    queue = make_queue(rows=2)
    pushed: list[Job] = []
    gone: list[str] = []
    for move, user, guild in moves:
        if move == "push":
            pushed.append(sample_job(user=user, guild=guild, length=user + 1))
            queue.push(pushed[-1])
        elif move == "pop" and len(queue):
            gone += [job.id for job in queue.pop_batch()]
        elif move == "cancel" and pushed:
            job = queue.remove(pushed[user % len(pushed)].id)
            gone += [job.id] if job else []
    gone += [job.id for job in drain(queue)]
    assert sorted(gone) == sorted(job.id for job in pushed)
    assert len(list(queue.upcoming())) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), min_size=1, max_size=80))
def test_nobody_gets_far_ahead(arrivals: list[tuple[int, int]]) -> None:
    """While two people both wait, their seconds differ by at most two of the largest jobs."""
    queue = JobQueue(cost=lambda job: float(job.request.size), limits=lambda _: BatchLimits(rows=1))
    for user, length in arrivals:
        queue.push(sample_job(user=user, length=length))
    used: Counter[int] = Counter()
    waiting = Counter(user for user, _ in arrivals)
    largest = max(length for _, length in arrivals)
    while len(queue):
        job = queue.pop_batch()[0]
        used[job.requester.user_id] += job.request.size
        waiting[job.requester.user_id] -= 1
        present = [used[user] for user, count in waiting.items() if count]
        if present:
            assert max(present) - min(present) <= 2 * largest
