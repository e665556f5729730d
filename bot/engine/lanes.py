"""Keep each person's jobs in a lane of their own, inside a lane of their guild."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from bot.engine.fair_heap import FairHeap
from bot.engine.job import Job, Requester

_SWEEP_AT = 1024


@dataclass(slots=True, eq=False)
class UserLane:
    """Hold one person's jobs in the order in which they came, those that give way apart from the others."""

    number: int
    guild: GuildLane
    weight: float = 1.0
    vtime: float = 0.0
    jobs: dict[bool, OrderedDict[str, Job]] = field(default_factory=lambda: {False: OrderedDict(), True: OrderedDict()})

    def __len__(self) -> int:
        return len(self.jobs[False]) + len(self.jobs[True])

    def first(self, preemptible: bool) -> Job | None:
        """Return the first job of one kind."""
        return next(iter(self.jobs[preemptible].values()), None)

    def firsts(self, key: Hashable) -> list[Job]:
        """Return the first jobs of both kinds that have a batch key."""
        return [job for kind in self.jobs if (job := self.first(kind)) is not None and batch_key(job) == key]


@dataclass(slots=True, eq=False)
class GuildLane:
    """Hold one guild's people.

    `heaps` has those whose first job has a batch key, `now` is their present.
    """

    number: int
    weight: float = 1.0
    vtime: float = 0.0
    now: float = 0.0
    count: int = 0
    users: dict[int, UserLane] = field(default_factory=dict)
    heaps: dict[Hashable, FairHeap[UserLane]] = field(default_factory=dict)
    _sweep_at: int = _SWEEP_AT

    def forget_idle(self) -> None:
        """Drop people who are idle and owe nothing, once there are many of them."""
        if len(self.users) >= self._sweep_at:
            self.users = {key: u for key, u in self.users.items() if len(u) or u.vtime > self.now}
            self._sweep_at = max(_SWEEP_AT, 2 * len(self.users))


def guild_key(requester: Requester) -> Hashable:
    """Return the outer lane of a requester: the guild, or for direct messages the person."""
    return ("user", requester.user_id) if requester.guild_id is None else requester.guild_id


def batch_key(job: Job) -> Hashable:
    """Return what jobs of one batch have in common."""
    return (job.task, job.request.batch_key)
