"""Hold the jobs that are waiting or running, and refuse more than the host allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping
from itertools import islice
from typing import NamedTuple

from bot.config import QueueSettings
from bot.engine.job import Job, Requester
from bot.engine.lanes import guild_key
from bot.errors import Refused
from bot.i18n.durations import format_duration

_SOONEST_S = 5.0
_JOBS_ASKED = 1_000
"""How many jobs are asked when the first of them ends, the oldest first: later ones hardly end before."""
_ALL = "all"
_MB = 1_000_000


class _Limit(NamedTuple):
    """Bound what counts under `key`; the two sentences say so, with the time until there is room and without."""

    key: Hashable
    most: int
    for_a_while: str
    for_now: str


class Admission:
    """Hold every job from when it is taken until it ends, within the limits for a person, a guild and all.

    A person has a limit in each guild, and one in all guilds together.

    `ends_in_s` returns the seconds until a job should end, None when that isn't known.
    """

    def __init__(self, limits: QueueSettings, ends_in_s: Callable[[Job], float | None]) -> None:
        self._limits = limits
        self._ends_in_s = ends_in_s
        self._held: defaultdict[Hashable, dict[str, Job]] = defaultdict(dict)
        self._held_bytes = 0

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Return every job by its id, the oldest first."""
        return self._held.get(_ALL, {})

    def of_person(self, requester: Requester) -> Collection[Job]:
        """Return the jobs of a person in the guild of the moment, the oldest first."""
        return self._held.get(_person(requester), {}).values()

    def of_guild(self, requester: Requester) -> Collection[Job]:
        """Return the jobs of everybody in a requester's guild, the oldest first."""
        return self._held.get(_guild(requester), {}).values()

    def check(self, job: Job) -> None:
        """Raise Refused when there is no room for this job, naming the limit and when to try again."""
        self.check_count(job.requester)
        all_bytes = self._held_bytes + job.input_bytes
        if job.input_bytes and self._held_bytes and all_bytes > self._limits.capacity_mb * _MB:
            limit = _Limit(_ALL, self._limits.capacity_mb, *_MEMORY_FULL)
            raise self._refusal(limit, self.jobs.values())

    def check_count(self, requester: Requester) -> None:
        """Raise Refused when a person may have no more jobs now, as far as that is known before there is one."""
        for limit in self._limits_of(requester):
            held = self._held.get(limit.key, {})
            if len(held) >= limit.most:
                raise self._refusal(limit, held.values())

    def hold(self, job: Job) -> None:
        """Count a job in."""
        self._held_bytes += job.input_bytes
        for key in _keys(job.requester):
            self._held[key][job.id] = job

    def release(self, job: Job) -> None:
        """Count a job out; one that isn't held is left alone."""
        if job.id not in self.jobs:
            return
        self._held_bytes -= job.input_bytes
        for key in _keys(job.requester):
            self._held[key].pop(job.id, None)
            if not self._held[key]:
                del self._held[key]

    def _limits_of(self, requester: Requester) -> tuple[_Limit, ...]:
        return (
            _Limit(_person(requester), self._limits.per_user, *_PERSON_FULL),
            _Limit(_person_anywhere(requester), self._limits.most_of_person, *_PERSON_FULL_ANYWHERE),
            _Limit(_guild(requester), self._limits.per_guild, *_GUILD_FULL),
            _Limit(_ALL, self._limits.capacity, *_ALL_FULL),
        )

    def _refusal(self, limit: _Limit, held: Collection[Job]) -> Refused:
        ends = [end for job in islice(held, _JOBS_ASKED) if (end := self._ends_in_s(job)) is not None]
        if not ends:
            return Refused(limit.for_now, limit=limit.most)
        wait_s = max(min(ends), _SOONEST_S)
        return Refused(limit.for_a_while, limit=limit.most, wait=format_duration(wait_s), retry_after_s=wait_s)


def _keys(requester: Requester) -> tuple[Hashable, ...]:
    """Return what a job counts under: its person in its guild and anywhere, its guild, and everybody."""
    return _person(requester), _person_anywhere(requester), _guild(requester), _ALL


def _person(requester: Requester) -> Hashable:
    return ("person", guild_key(requester), requester.user_id)


def _person_anywhere(requester: Requester) -> Hashable:
    return ("person anywhere", requester.user_id)


def _guild(requester: Requester) -> Hashable:
    return ("guild", guild_key(requester))


_PERSON_FULL = (
    "At most {limit} of your jobs can wait or run here. Try again in {wait}, or stop one with /cancel.",
    "At most {limit} of your jobs can wait or run here. Try again when one is done, or stop one with /cancel.",
)
_PERSON_FULL_ANYWHERE = (
    "At most {limit} of your jobs can wait or run in all servers together. Try again in {wait}.",
    "At most {limit} of your jobs can wait or run in all servers together. Try again when one is done.",
)
_GUILD_FULL = (
    "At most {limit} of this server's jobs can wait or run. Try again in {wait}.",
    "At most {limit} of this server's jobs can wait or run. Try again when one is done.",
)
_ALL_FULL = (
    "The queue is full: at most {limit} jobs can wait or run. Try again in {wait}.",
    "The queue is full: at most {limit} jobs can wait or run. Try again when one is done.",
)
_MEMORY_FULL = (
    "The queue has no room for more pictures: they take {limit} MB at most. Try again in {wait}.",
    "The queue has no room for more pictures: they take {limit} MB at most. Try again when one is done.",
)
