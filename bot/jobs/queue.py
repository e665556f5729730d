"""Hold the queued jobs: fair order by guild and user, batches of similar length, positions.

A plain data structure without clock or event loop. Every operation costs O(log n) for n queued jobs.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from sortedcontainers import SortedKeyList

from bot.jobs.job import Job, Requester
from bot.jobs.lanes import FairSchedule


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bound one batch: `rows` in all, `padded` units of size in all, and the least share that isn't padding."""

    rows: int = 16
    padded: int = 1 << 62
    fill: float = 0.8


@dataclass(slots=True, eq=False)
class _UserLane:
    weight: float = 1.0
    vtime: float = 0.0
    jobs: OrderedDict[str, Job] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self.jobs)


@dataclass(slots=True, eq=False)
class _GuildLane:
    weight: float = 1.0
    vtime: float = 0.0
    count: int = 0
    users: FairSchedule[_UserLane] = field(default_factory=FairSchedule)

    def __len__(self) -> int:
        return self.count


def guild_key(requester: Requester) -> Hashable:
    """Return the outer lane of a requester: the guild, or for direct messages the person."""
    return ("user", requester.user_id) if requester.guild_id is None else requester.guild_id


class JobQueue:
    """Keep queued jobs in fair order.

    `cost` returns the device seconds that a job is expected to take, `limits` what its batch may hold.
    """

    def __init__(self, *, cost: Callable[[Job], float], limits: Callable[[Job], BatchLimits]) -> None:
        self._cost = cost
        self._limits = limits
        self._guilds: FairSchedule[_GuildLane] = FairSchedule()
        self._jobs: dict[str, Job] = {}
        self._by_key: dict[Hashable, SortedKeyList[tuple[int, int, Job]]] = {}
        self._entries: dict[str, tuple[int, int, Job]] = {}
        self._ticket = itertools.count()

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def push(self, job: Job, *, front: bool = False) -> None:
        """Add a job to its person's lane; `front` is for one that goes back after its worker died."""
        guild, lane = self._lanes(job.requester)
        lane.weight = job.requester.weight
        idle_guild, idle_lane = not len(guild), not len(lane)
        lane.jobs[job.id] = job
        guild.count += 1
        if front:
            lane.jobs.move_to_end(job.id, last=False)
        if idle_lane:
            guild.users.activate(lane)
        if idle_guild:
            self._guilds.activate(guild)
        entry = (job.request.size, next(self._ticket), job)
        self._jobs[job.id], self._entries[job.id] = job, entry
        self._by_key.setdefault(self.batch_key(job), SortedKeyList(key=lambda e: e[:2])).add(entry)

    def remove(self, job_id: str) -> Job | None:
        """Take a queued job out; return None when it isn't queued."""
        job = self._jobs.pop(job_id, None)
        if job is None:
            return None
        guild, lane = self._lanes(job.requester)
        del lane.jobs[job_id]
        guild.count -= 1
        same = self._by_key[self.batch_key(job)]
        same.remove(self._entries.pop(job_id))
        if not same:
            del self._by_key[self.batch_key(job)]
        guild.users.forget_idle()
        self._guilds.forget_idle()
        return job

    def head(self) -> Job:
        """Return the job that goes next; raise IndexError when none waits."""
        lane = self._guilds.head().users.head()
        return next(iter(lane.jobs.values()))

    def pop_batch(self) -> list[Job]:
        """Take the head job and those that may share its batch, and charge each for its expected share."""
        head = self.head()
        members = [head, *self._companions(head)]
        self._guilds.advance()
        self._guilds.head().users.advance()
        for job in members:
            self.remove(job.id)
            self.charge(job.requester, self._cost(job))
        return members

    def charge(self, requester: Requester, seconds: float) -> None:
        """Charge (or, when negative, refund) device seconds to a person and the guild."""
        guild, lane = self._lanes(requester)
        guild.users.charge(lane, seconds)
        self._guilds.charge(guild, seconds)

    def upcoming(self) -> Iterator[Job]:
        """Yield the queued jobs in the order in which they'd run if nothing else came."""
        guilds = [(g.vtime, i, g, self._upcoming_in(g)) for i, g in enumerate(self._guilds.in_order())]
        heapq.heapify(guilds)
        while guilds:
            vtime, ticket, guild, jobs = guilds[0]
            job = next(jobs, None)
            if job is None:
                heapq.heappop(guilds)
                continue
            yield job
            heapq.heapreplace(guilds, (vtime + self._cost(job) / guild.weight, ticket, guild, jobs))

    def _upcoming_in(self, guild: _GuildLane) -> Iterator[Job]:
        lanes = [(u.vtime, i, u, iter(list(u.jobs.values()))) for i, u in enumerate(guild.users.in_order())]
        heapq.heapify(lanes)
        while lanes:
            vtime, ticket, lane, jobs = lanes[0]
            job = next(jobs, None)
            if job is None:
                heapq.heappop(lanes)
                continue
            yield job
            heapq.heapreplace(lanes, (vtime + self._cost(job) / lane.weight, ticket, lane, jobs))

    def _companions(self, head: Job) -> Iterator[Job]:
        """Yield jobs next to the head in size while the batch stays within its limits and well filled."""
        limits, same = self._limits(head), self._by_key[self.batch_key(head)]
        right = same.index(self._entries[head.id])
        left, right = right - 1, right + 1
        rows, total, longest = head.request.rows, head.request.size * head.request.rows, head.request.size
        while left >= 0 or right < len(same):
            index, left, right = _nearer(same, head.request.size, left, right)
            job: Job = same[index][2]
            rows += job.request.rows
            total += job.request.size * job.request.rows
            longest = max(longest, job.request.size)
            if rows > limits.rows or rows * longest > limits.padded or total < limits.fill * rows * longest:
                return
            yield job

    @staticmethod
    def batch_key(job: Job) -> Hashable:
        """Return what jobs of one batch have in common."""
        return (job.task, job.request.batch_key)

    def _lanes(self, requester: Requester) -> tuple[_GuildLane, _UserLane]:
        key = guild_key(requester)
        guild = self._guilds.children.get(key) or self._guilds.children.setdefault(key, _GuildLane())
        users = guild.users.children
        lane = users.get(requester.user_id) or users.setdefault(requester.user_id, _UserLane())
        return guild, lane


def _nearer(same: SortedKeyList[tuple[int, int, Job]], size: int, left: int, right: int) -> tuple[int, int, int]:
    """Return the index whose size is nearer to `size`, and the two ends moved past it."""
    if right >= len(same) or (left >= 0 and size - same[left][0] <= same[right][0] - size):
        return left, left - 1, right
    return right, left, right + 1
