"""Test fair order, batches and removal."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable

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
    queue.reset()
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
    order = {job_id: choose_device for choose_device, job_id in enumerate(pushed)}
    lanes = defaultdict(list)
    for job in taken:
        lanes[job.requester.guild_id, job.requester.user_id, job.request.preemptible].append(order[job.id])
    assert all(places == sorted(places) for places in lanes.values())
    assert (queue._heaps, queue._counts) == ({}, Counter())


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


def size_as_cost(job: Job) -> float:
    return float(job.request.size)


def spread_of_waiting(used: dict[int, float], waiting: Counter[int]) -> float:
    """Return by how many seconds the people (or guilds) differ who still have jobs waiting."""
    shares = [used[key] for key, count in waiting.items() if count]
    return max(shares) - min(shares) if shares else 0.0


people_lengths = st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=12), min_size=2, max_size=12)


@given(people_lengths, st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=12, max_size=12), st.integers(1, 16))
def test_people_of_one_guild_differ_by_two_jobs_at_most(
    lengths: list[list[int]], weights: list[float], rows: int
) -> None:
    """However long their texts are, and however many rows a batch has."""
    queue = JobQueue(cost=size_as_cost, limits=lambda _: BatchLimits(rows=rows))
    for user, sizes in enumerate(lengths):
        for size in sizes:
            queue.push(sample_job(user=user, length=size, weight=weights[user]))
    waiting = Counter({user: len(sizes) for user, sizes in enumerate(lengths)})
    largest = max(size / weights[user] for user, sizes in enumerate(lengths) for size in sizes)
    used: dict[int, float] = defaultdict(float)
    while len(queue):
        for job in queue.pop_batch():
            used[job.requester.user_id] += job.request.size / job.requester.weight
            waiting[job.requester.user_id] -= 1
        assert spread_of_waiting(used, waiting) <= 2 * largest


@given(people_lengths, st.integers(1, 16))
def test_guilds_differ_by_two_jobs_at_most(lengths: list[list[int]], rows: int) -> None:
    """A guild of many people gets no more than a guild of one."""
    queue = JobQueue(cost=size_as_cost, limits=lambda _: BatchLimits(rows=rows))
    for user, sizes in enumerate(lengths):
        for size in sizes:
            queue.push(sample_job(user=user, guild=user % 3, length=size))
    waiting = Counter(job.requester.guild_id or 0 for job in queue)
    largest = max(max(sizes) for sizes in lengths)
    used: dict[int, float] = defaultdict(float)
    while len(queue):
        for job in queue.pop_batch():
            guild = job.requester.guild_id or 0
            used[guild] += job.request.size
            waiting[guild] -= 1
        assert spread_of_waiting(used, waiting) <= 2 * largest


@given(people_lengths, st.integers(1, 16), st.lists(st.integers(0, 9), min_size=1, max_size=20))
def test_arrivals_at_any_moment_change_nothing_about_that(
    lengths: list[list[int]], rows: int, arrivals: list[int]
) -> None:
    """From the moment at which both wait, two people differ by four jobs at most: two at either end."""
    queue = JobQueue(cost=size_as_cost, limits=lambda _: BatchLimits(rows=rows))
    largest, used = max(max(sizes) for sizes in lengths), Counter[int]()
    since: dict[tuple[int, int], tuple[int, int]] = {}
    later = [(user, size) for user, sizes in enumerate(lengths) for size in sizes]
    for arriving in itertools.chain(arrivals, itertools.repeat(10)):
        if not later and not len(queue):
            break
        for user, size in (later.pop() for _ in range(min(arriving, len(later)))):
            queue.push(sample_job(user=user, length=size))
        for job in queue.pop_batch():
            used[job.requester.user_id] += job.request.size
        waiting = sorted({job.requester.user_id for job in queue})
        pairs = set(itertools.combinations(waiting, 2))
        since = {pair: since.get(pair, (used[pair[0]], used[pair[1]])) for pair in pairs}
        for (one, other), (then_one, then_other) in since.items():
            assert abs((used[one] - then_one) - (used[other] - then_other)) <= 4 * largest


@pytest.mark.parametrize(
    "length_of", [lambda _u, _k: 20, lambda u, _k: u + 1, lambda u, k: (u * 7919 + k * 104_729) % 300]
)
@pytest.mark.parametrize("guilds", [1, 7, 200])
def test_everybody_is_served_alike_whatever_their_lengths(length_of: Callable[[int, int], int], guilds: int) -> None:
    """200 people with 10 jobs each, in batches of 64: at half of the work each of them has 4 to 6 answers."""
    queue = make_queue(rows=64)
    for user in range(200):
        for number in range(10):
            queue.push(sample_job(user=user, guild=user % guilds, length=1 + length_of(user, number)))
    done: Counter[int] = Counter(dict.fromkeys(range(200), 0))
    batches = 0
    while done.total() < 1_000:
        batches += 1
        done.update(job.requester.user_id for job in queue.pop_batch())
        if batches == 4:
            assert min(done.values()) >= 1  # four batches of 64 reach everybody
    assert min(done.values()) >= 4
    assert max(done.values()) <= 6
