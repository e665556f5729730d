"""Hold the queued jobs: fair order by guild and person, batches of similar length, positions.

A plain data structure without clock or event loop. For n queued jobs under k batch keys, adding and removing a job cost
O(log n), choosing the next one O(k + log n). `bot/engine/batch_mates.py` tells how far equal people drift apart.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

from bot.engine.batch_mates import BatchMates
from bot.engine.fair_heap import FairHeap, merge_by_vtime
from bot.engine.job import Job, Requester
from bot.engine.lanes import GuildLane, UserLane, batch_key, guild_key

_SWEEP_AT = 1024


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bound one batch: `rows` in all, and the device `seconds` that its jobs may take together."""

    rows: int = 16
    seconds: float = float("inf")


_AnyLane = TypeVar("_AnyLane", UserLane, GuildLane)


class JobQueue:
    """Keep queued jobs in fair order.

    A person's jobs are taken in the order in which they came, those that give way and the others each for themselves.
    `cost` returns the device seconds that a job is expected to take, `limits` what its batch may hold.
    """

    def __init__(self, *, cost: Callable[[Job], float], limits: Callable[[Job], BatchLimits]) -> None:
        self._cost = cost
        self._limits = limits
        self._now = 0.0
        self._guilds: dict[Hashable, GuildLane] = {}
        self._heaps: dict[Hashable, FairHeap[GuildLane]] = {}
        self._jobs: dict[str, Job] = {}
        self._tickets: dict[str, int] = {}
        self._counts: Counter[Hashable] = Counter()
        self._ticket = itertools.count()
        self._front_ticket = itertools.count(-1, -1)
        self._numbers = itertools.count()
        self._sweep_at = _SWEEP_AT

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def push(self, job: Job, *, front: bool = False) -> None:
        """Add a job to its person's lane; `front` is for one that goes back after its worker died."""
        lane = self._lane(job.requester)
        lane.weight = job.requester.weight
        self._activate(lane)
        self._jobs[job.id] = job
        self._tickets[job.id] = next(self._front_ticket if front else self._ticket)
        self._counts[batch_key(job)] += 1
        jobs, first = lane.jobs[job.request.preemptible], lane.first(job.request.preemptible)
        jobs[job.id] = job
        lane.guild.count += 1
        if front:
            self._hide(lane, first)
            jobs.move_to_end(job.id, last=False)
        if front or first is None:
            self._show(lane, job)

    def remove(self, job_id: str) -> Job | None:
        """Take a queued job out; return None when it isn't queued."""
        job = self._jobs.get(job_id)
        if job is None:
            return None
        lane = self._lane(job.requester)
        self._take(lane, job)
        self._forget_idle(lane.guild)
        return job

    def head(self, only: Callable[[Job], bool] | None = None) -> Job | None:
        """Return the job that goes next, of all or of those for which `only` holds; None when there is none.

        `only` may ask for what the jobs of a batch have in common.
        """
        return min(filter(only, self.heads()) if only else self.heads(), key=self._turn, default=None)

    def heads(self) -> Iterator[Job]:
        """Yield for each batch key the job that goes next."""
        for key, heap in self._heaps.items():
            lane = heap.head().heaps[key].head()
            yield from lane.firsts(key)

    def pop_batch(self, limits: BatchLimits | None = None, *, only: Callable[[Job], bool] | None = None) -> list[Job]:
        """Take the next job and those that may share its batch, and charge each for its expected share.

        `limits` are for this batch alone; without them the job's own hold. It is empty when no job waits.
        """
        first, head = self.head(), self.head(only)
        if first is None or head is None:
            return []
        self._advance(first)
        return list(self._gather(head, BatchLimits(rows=1) if head.attempts else limits or self._limits(head)))

    def count_with(self, job: Job) -> int:
        """Return how many jobs could share a batch with a queued one, itself included."""
        return self._counts[batch_key(job)]

    def charge(self, requester: Requester, seconds: float) -> None:
        """Charge (or, when negative, refund) device seconds to a person and the guild."""
        lane = self._lane(requester)
        lane.vtime += seconds / lane.weight
        lane.guild.vtime += seconds / lane.guild.weight
        if seconds < 0:
            self._decreased(lane)

    def reset(self) -> None:
        """Forget what everybody used, since nothing waits or runs any more: a new time begins."""
        self._guilds.clear()
        self._now = 0.0

    def upcoming(self) -> Iterator[Job]:
        """Yield the queued jobs in the order in which they'd run if nothing else came. The first k cost O(k log k)."""
        return merge_by_vtime(_distinct(self._heaps), self._upcoming_of, self._cost)

    def _upcoming_of(self, guild: GuildLane) -> Iterator[Job]:
        return merge_by_vtime(_distinct(guild.heaps), self._in_lane, self._cost)

    def _in_lane(self, lane: UserLane) -> Iterator[Job]:
        kinds = [jobs.values() for jobs in lane.jobs.values() if jobs]
        return iter(kinds[0]) if len(kinds) == 1 else heapq.merge(*kinds, key=lambda job: self._tickets[job.id])

    def _turn(self, job: Job) -> tuple[float, int, float, int, int]:
        """Return what the fair order sorts by."""
        lane = self._lane(job.requester)
        return lane.guild.vtime, lane.guild.number, lane.vtime, lane.number, self._tickets[job.id]

    def _advance(self, job: Job) -> None:
        """Move the present to the virtual times of the job that is first in the fair order."""
        lane = self._lane(job.requester)
        self._now = max(self._now, lane.guild.vtime)
        lane.guild.now = max(lane.guild.now, lane.vtime)

    def _gather(self, head: Job, limits: BatchLimits) -> Iterator[Job]:
        """Take the head and its mates, while the batch stays within its limits."""
        mates = BatchMates(head, self._heaps, self._cost, lambda job: self._tickets[job.id])
        rows, seconds, job = 0, 0.0, head
        while job is head or self._fits(job, rows, seconds, limits):
            rows, seconds = rows + job.request.rows, seconds + self._cost(job)
            self._charge_and_take(job)
            yield job
            mate = mates.next() if rows < limits.rows else None
            if mate is None:
                return
            job = mate

    def _fits(self, job: Job, rows: int, seconds: float, limits: BatchLimits) -> bool:
        """Say whether a job may join; one whose worker died runs alone, since it may be what killed it."""
        fits = rows + job.request.rows <= limits.rows and seconds + self._cost(job) <= limits.seconds
        return fits and not job.attempts

    def _charge_and_take(self, job: Job) -> None:
        job.charged_s = self._cost(job)
        lane = self._lane(job.requester)
        self._take(lane, job)
        self.charge(job.requester, job.charged_s)
        self._forget_idle(lane.guild)

    def _take(self, lane: UserLane, job: Job) -> None:
        kind = job.request.preemptible
        was_first = lane.first(kind) is job
        if was_first:
            self._hide(lane, job)
        del lane.jobs[kind][job.id], self._jobs[job.id], self._tickets[job.id]
        lane.guild.count -= 1
        self._uncount(batch_key(job))
        if was_first and (following := lane.first(kind)):
            self._show(lane, following)

    def _uncount(self, key: Hashable) -> None:
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]

    def _show(self, lane: UserLane, job: Job) -> None:
        """Let a lane's first job of its kind be found."""
        key = batch_key(job)
        lane.guild.heaps.setdefault(key, FairHeap()).add(lane)
        self._heaps.setdefault(key, FairHeap()).add(lane.guild)

    def _hide(self, lane: UserLane, job: Job | None) -> None:
        """Let a job that is no longer its lane's first not be found."""
        if job is None:
            return
        key, guild = batch_key(job), lane.guild
        guild.heaps[key].discard(lane)
        if not guild.heaps[key]:
            del guild.heaps[key]
            self._heaps[key].discard(guild)
        if not self._heaps[key]:
            del self._heaps[key]

    def _activate(self, lane: UserLane) -> None:
        """Bring lanes that were idle to the present, so that nobody saves up credit."""
        if not len(lane):
            lane.vtime = max(lane.vtime, lane.guild.now)
        if not lane.guild.count:
            lane.guild.vtime = max(lane.guild.vtime, self._now)

    def _decreased(self, lane: UserLane) -> None:
        for heap in lane.guild.heaps.values():
            heap.decreased(lane)
        for key in lane.guild.heaps:
            self._heaps[key].decreased(lane.guild)

    def _lane(self, requester: Requester) -> UserLane:
        key = guild_key(requester)
        guild = self._guilds.get(key)
        if guild is None:
            guild = self._guilds[key] = GuildLane(next(self._numbers))
        lane = guild.users.get(requester.user_id)
        if lane is None:
            lane = guild.users[requester.user_id] = UserLane(next(self._numbers), guild)
        return lane

    def _forget_idle(self, guild: GuildLane) -> None:
        """Drop people and guilds that are idle and owe nothing, once there are many of them."""
        guild.forget_idle()
        if len(self._guilds) >= self._sweep_at:
            self._guilds = {key: g for key, g in self._guilds.items() if g.count or g.vtime > self._now}
            self._sweep_at = max(_SWEEP_AT, 2 * len(self._guilds))


def _distinct(heaps: dict[Hashable, FairHeap[_AnyLane]]) -> Iterator[_AnyLane]:
    """Yield the lanes of several heaps in order of virtual time, each once."""
    if len(heaps) == 1:
        yield from next(iter(heaps.values())).in_order()
        return
    seen: set[int] = set()
    for lane in heapq.merge(*(heap.in_order() for heap in heaps.values()), key=attrgetter("vtime", "number")):
        if lane.number not in seen:
            seen.add(lane.number)
            yield lane
