"""Choose the jobs that join the head of a batch: by turn first, by similar size among those whose turn is near.

**How far equal people drift apart.** Guilds whose virtual time is less than one job above the lowest form a round, and
so do the people inside a guild. A guild gives one job to a round of guilds, a person one job to a round of people; the
jobs nearest to the head in size go first. Before a lane gives a job its virtual time is less than one job above the
lowest, so after it less than two. Hence, while two people of one guild have jobs of one batch key waiting, the device
seconds that they used, divided by their weights, differ by at most two of the largest jobs. The same holds for two
guilds. Between jobs of different keys one batch comes on top.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from itertools import islice, takewhile

from bot.engine.fair_heap import FairHeap
from bot.engine.job import Job
from bot.engine.lanes import GuildLane, batch_key

_MOST_IN_ROUND = 256
"""The people among whom a choice is made: with more of them it gets dearer, and hardly better."""
Sized = tuple[int, int, Job]
"""A job's size, its ticket, and the job."""


class BatchMates:
    """Choose mates of `head` among the queued jobs with its batch key.

    `guilds` are the heaps of the guilds by batch key, `cost` returns a job's expected seconds, `ticket` the number that
    orders jobs by arrival.
    """

    def __init__(
        self,
        head: Job,
        guilds: Mapping[Hashable, FairHeap[GuildLane]],
        cost: Callable[[Job], float],
        ticket: Callable[[Job], int],
    ) -> None:
        self._key = batch_key(head)
        self._all_guilds = guilds
        self._cost = cost
        self._ticket = ticket
        self._place = (head.request.size, ticket(head))
        self._guilds: list[GuildLane] = []
        self._people: defaultdict[int, list[Sized]] = defaultdict(list)

    def next(self) -> Job | None:
        """Return the next mate, which its queue still has; None when no job has the batch key any more."""
        self._guilds = self._guilds or self._round_of_guilds()
        if not self._guilds:
            return None
        people = self._people[self._guilds.pop().number]
        return people.pop(self._nearest(people))[2]

    def _round_of_guilds(self) -> list[GuildLane]:
        """Return the guilds of the next round, the one with the nearest job last."""
        heap = self._all_guilds.get(self._key)
        if heap is None:
            return []
        lowest = heap.head()
        end = lowest.vtime + self._cheapest(lowest) / lowest.weight
        lanes = takewhile(lambda guild: guild is lowest or guild.vtime < end, heap.in_order())
        guilds = list(islice(lanes, _MOST_IN_ROUND))
        most = max(_MOST_IN_ROUND // len(guilds), 1)
        for guild in guilds:
            self._people[guild.number] = self._people[guild.number] or self._round_of_people(guild, most)
        return sorted(guilds, key=self._distance, reverse=True)

    def _round_of_people(self, guild: GuildLane, most: int) -> list[Sized]:
        """Return one job of each person of the guild's next round, at most so many, by size."""
        heap = guild.heaps[self._key]
        lowest = heap.head()
        end = lowest.vtime + self._cheapest(guild) / lowest.weight
        lanes = takewhile(lambda lane: lane is lowest or lane.vtime < end, heap.in_order())
        jobs = (job for lane in islice(lanes, most) for job in lane.firsts(self._key))
        return sorted((job.request.size, self._ticket(job), job) for job in jobs)

    def _cheapest(self, guild: GuildLane) -> float:
        """Return the seconds of the job that is next in a guild."""
        return min(map(self._cost, guild.heaps[self._key].head().firsts(self._key)))

    def _distance(self, guild: GuildLane) -> int:
        people = self._people[guild.number]
        return abs(people[self._nearest(people)][0] - self._place[0])

    def _nearest(self, people: list[Sized]) -> int:
        """Return the index of the job whose size is nearest to the head's."""
        right = bisect_left(people, self._place, key=lambda sized: sized[:2])
        size = self._place[0]
        if right == len(people) or (right and size - people[right - 1][0] <= people[right][0] - size):
            right -= 1
        return right
