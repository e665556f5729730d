"""Count the jobs that are waiting or running, and refuse more than the host allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from bot.config import QueueSettings
from bot.durations import spoken
from bot.errors import Refused
from bot.jobs.job import Job
from bot.jobs.lanes import guild_key

_SOONEST_S = 5.0
_USER_FULL = "At most {limit} of your jobs can wait at a time. Try again in {wait}."
_GUILD_FULL = "At most {limit} of this server's jobs can wait at a time. Try again in {wait}."
_ALL_FULL = "The queue is full: at most {limit} can wait. Try again in {wait}."


class Admission:
    """Hold every job from when it is taken until it ends, within the limits for a person, a guild and all."""

    def __init__(self, limits: QueueSettings) -> None:
        self._limits = limits
        self._held: Counter[Hashable] = Counter()
        self.jobs: dict[str, Job] = {}

    def check(self, job: Job) -> None:
        """Raise Refused when there is no room for this job, naming the limit and when to try again."""
        user, guild, everybody = _keys(job)
        checks = (
            (user, self._limits.per_user, _USER_FULL),
            (guild, self._limits.per_guild, _GUILD_FULL),
            (everybody, self._limits.capacity, _ALL_FULL),
        )
        for key, limit, template in checks:
            if self._held[key] >= limit:
                wait_s = self._room_in_s(key)
                raise Refused(template, limit=limit, wait=spoken(wait_s), retry_after_s=wait_s)

    def hold(self, job: Job) -> None:
        """Count a job in."""
        self.jobs[job.id] = job
        self._held.update(_keys(job))

    def release(self, job: Job) -> None:
        """Count a job out; one that isn't held is left alone."""
        if self.jobs.pop(job.id, None) is None:
            return
        for key in _keys(job):
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]

    def _room_in_s(self, key: Hashable) -> float:
        """Return the seconds until one of the jobs that are counted under `key` should start."""
        counted: Iterable[Job] = (job for job in self.jobs.values() if key in _keys(job))
        return max(min((job.status.starts_in_s or 0.0 for job in counted), default=0.0), _SOONEST_S)


def _keys(job: Job) -> tuple[Hashable, Hashable, Hashable]:
    """Return what a job counts under: its person in its guild, its guild, and everybody."""
    guild = guild_key(job.requester)
    return ("user", guild, job.requester.user_id), ("guild", guild), "all"
