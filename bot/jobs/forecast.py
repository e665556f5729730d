"""Tell waiting jobs how many are ahead and when they should start."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import islice

from bot.jobs.estimate import Estimator
from bot.jobs.job import Job

FORECAST_JOBS = 1_000
"""How far into the queue positions are worked out; nobody needs to know that 1,243 are ahead rather than 1,244."""


def forecast(upcoming: Iterable[Job], estimator: Estimator, remaining_s: Sequence[float], devices: int) -> None:
    """Update `ahead` and `starts_in_s` of waiting jobs.

    `remaining_s` are the seconds that each running job still needs. Devices are filled in order, as the queue does;
    sharing of batches is ignored, so a start is rather too late than too early.
    """
    free_in = sorted(remaining_s)[-devices:] if devices else []
    free_in += [0.0] * (devices - len(free_in))
    heapq.heapify(free_in)
    for ahead, job in enumerate(islice(upcoming, FORECAST_JOBS)):
        starts_in_s = heapq.heappop(free_in) if free_in else 0.0
        job.update(ahead=ahead, starts_in_s=round(starts_in_s))
        heapq.heappush(free_in, starts_in_s + estimator.seconds(job.request))
