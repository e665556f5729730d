"""Test fair order, batches and removal."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.job import Job
from bot.engine.queue import BatchLimits, JobQueue
from tests.engine.samples import sample_job


def make_queue(*, rows: int = 1, seconds: float = 1e9) -> JobQueue:
    """Return a queue where every job costs one second."""
    return JobQueue(cost=lambda _: 1.0, limits=lambda _: BatchLimits(rows=rows, seconds=seconds))


def is_short(job: Job) -> bool:
    return not job.request.preemptible


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


def test_a_batch_keeps_its_budget() -> None:
    queue = make_queue(rows=16, seconds=2.5)
    for length in (100, 99, 98, 10):
        queue.push(sample_job(length=length))
    assert [len(queue.pop_batch()) for _ in range(2)] == [2, 2]


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


def test_short_jobs_can_be_taken_before_long_ones_that_are_next() -> None:
    queue = make_queue(rows=4)
    long, short = sample_job(user=1, preemptible=True, kind="long"), sample_job(user=2)
    queue.push(long)
    assert queue.head(is_short) is None
    assert queue.pop_batch(only=is_short) == []
    queue.push(short)
    assert queue.head() is long
    assert queue.head(is_short) is short
    assert queue.pop_batch(only=is_short) == [short]
    assert drain(queue) == [long]


def test_a_job_whose_worker_died_runs_alone() -> None:
    queue = make_queue(rows=4)
    suspect, others = sample_job(user=1), [sample_job(user=2), sample_job(user=3)]
    suspect.attempts = 1
    queue.push(suspect, front=True)
    for job in others:
        queue.push(job)
    assert [queue.pop_batch(), queue.pop_batch()] == [[suspect], others]
    queue.push(sample_job(user=5))
    queue.push(suspect)
    assert len(queue.pop_batch()) == 1


def test_upcoming_reads_no_further_than_it_is_asked() -> None:
    costs = Counter[str]()

    def cost(job: Job) -> float:
        costs[job.id] += 1
        return 1.0

    queue = JobQueue(cost=cost, limits=lambda _: BatchLimits())
    for user in range(2_000):
        queue.push(sample_job(user=user, guild=user % 50))
    assert len(list(itertools.islice(queue.upcoming(), 10))) == 10
    assert sum(costs.values()) < 100


def test_people_who_left_are_forgotten() -> None:
    queue = make_queue()
    queue.push(sample_job(user=1, guild=1))
    for _ in range(5_000):
        queue.push(sample_job(user=1, guild=1))
        queue.push(sample_job(user=len(queue._guilds) + 10_000, guild=len(queue._guilds) + 10_000))
        queue.pop_batch()
        queue.pop_batch()
    assert len(queue._guilds) < 2_500
    drain(queue)
    queue.rest()
    assert not queue._guilds


def test_who_has_a_job_running_goes_after_who_has_none() -> None:
    queue = make_queue()
    queue.push(sample_job(user=1))
    queue.pop_batch()
    others = [sample_job(user=2), sample_job(user=1)]
    for job in reversed(others):
        queue.push(job)
    assert drain(queue) == others


Move = tuple[str, int, int, int]
moves = st.lists(
    st.tuples(
        st.sampled_from(["push", "push", "push", "pop", "guests", "cancel", "refund"]),
        st.integers(0, 4),
        st.integers(0, 2),
        st.integers(1, 9),
    ),
    max_size=150,
)


@given(moves)
def test_any_order_of_events_keeps_the_promises(events: list[Move]) -> None:
    """No job is lost or taken twice, a person's jobs of one kind stay in order, and nobody's credit grows."""
    queue = JobQueue(cost=lambda job: float(job.request.size), limits=lambda _: BatchLimits(rows=3, seconds=20.0))
    pushed: dict[str, Job] = {}
    taken: list[Job] = []
    cancelled: set[str] = set()
    for event, user, guild, length in events:
        if event == "push":
            job = sample_job(
                user, guild, length=length, kind="abc"[length % 3], preemptible=length % 3 == 0, weight=user + 1
            )
            pushed[job.id] = job
            queue.push(job)
        elif event == "pop" and len(queue):
            taken += queue.pop_batch()
        elif event == "guests":
            batch = queue.pop_batch(only=is_short)
            assert all(map(is_short, batch))
            taken += batch
        elif event == "cancel" and pushed:
            job = list(pushed.values())[(user * 7 + length) % len(pushed)]
            cancelled |= {job.id} if queue.remove(job.id) else set()
        elif event == "refund" and taken:
            queue.charge(taken[-1].requester, -taken[-1].charged_s / 2)
            taken[-1].charged_s /= 2
    assert {job.id for job in queue.upcoming()} == {job.id for job in queue}
    taken += drain(queue)
    assert len({job.id for job in taken}) == len(taken)
    assert {job.id for job in taken} | cancelled == set(pushed)
    assert {job.id for job in taken}.isdisjoint(cancelled)
    order = {job_id: place for place, job_id in enumerate(pushed)}
    lanes = defaultdict(list)
    for job in taken:
        lanes[job.requester.guild_id, job.requester.user_id, job.request.preemptible].append(order[job.id])
    assert all(places == sorted(places) for places in lanes.values())
    assert (queue._heaps, queue._by_size, queue._counts) == ({}, {}, Counter())


@given(st.lists(st.integers(0, 6), min_size=1, max_size=20), st.integers(1, 8), st.integers(1, 5))
def test_a_newcomer_waits_for_one_batch_of_each_guild_at_most(crowd: list[int], rows: int, rounds: int) -> None:
    queue = make_queue(rows=rows)
    for user in crowd:
        for _ in range(50):
            queue.push(sample_job(user=user, guild=user % 3, kind=str(user)))
    for _ in range(rounds):
        queue.pop_batch()
    newcomer = sample_job(user=99, guild=7)
    queue.push(newcomer)
    guilds = {user % 3 for user in crowd}
    first = [job for _ in range(len(guilds)) for job in queue.pop_batch()]
    assert newcomer in first


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=4, max_size=60), st.data())
def test_weighted_shares_stay_close(arrivals: list[tuple[int, int]], data: st.DataObject) -> None:
    """While people of one guild all wait, their seconds by weight differ by at most two of the largest jobs."""
    weights = data.draw(st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=4, max_size=4))
    queue = JobQueue(cost=lambda job: float(job.request.size), limits=lambda _: BatchLimits(rows=1))
    for user, length in arrivals:
        queue.push(sample_job(user=user, length=length, weight=weights[user]))
    used: Counter[int] = Counter()
    waiting = Counter(user for user, _ in arrivals)
    largest = max(length / weights[user] for user, length in arrivals)
    while len(queue):
        (job,) = queue.pop_batch()
        user = job.requester.user_id
        used[user] += job.request.size
        waiting[user] -= 1
        shares = [used[user] / weights[user] for user, count in waiting.items() if count]
        if shares:
            assert max(shares) - min(shares) <= 2 * largest
