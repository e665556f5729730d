"""Measure what the queue costs a job while 1,000, 10,000 and 100,000 wait.

    python -m benchmarks.queue_scale [--json]

Jobs of four batch keys and mixed lengths in lanes of ten jobs, twenty people a guild. Half of them are taken in batches
of up to 16, a tenth is cancelled, and the first thousand of the order to come are listed, as the forecast does.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import random
import time

from bot.engine.job import Job, Requester
from bot.engine.queue import BatchLimits, JobQueue
from bot.tasks.sentiment.task import SentimentRequest

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {size: best(size) for size in SIZES}
    if options.json:
        print(json.dumps(results))
        return
    print(f"{'queued':>8} {'submit µs':>10} {'cancel µs':>10} {'pick µs':>10} {'list 1000 ms':>13}")
    for size, row in results.items():
        print(f"{size:>8} {row['submit']:>10.1f} {row['cancel']:>10.1f} {row['pick']:>10.1f} {row['list']:>13.1f}")


def best(size: int) -> dict[str, float]:
    """Return the best figures of some rounds: the machine may be busy."""
    rounds = [measure(size) for _ in range(ROUNDS)]
    return {name: min(row[name] for row in rounds) for name in rounds[0]}


def measure(size: int) -> dict[str, float]:
    """Return microseconds a job for each operation, and milliseconds for a list of the first thousand."""
    queue = JobQueue(cost=lambda job: 0.0005 * job.request.size, limits=lambda _: BatchLimits(rows=16, seconds=1.0))
    jobs = make_jobs(size)
    gc.collect()
    gc.freeze()  # the jobs stand for what the process holds anyway: don't count walking over them
    return {
        "submit": 1e6 * timed(lambda: push_all(queue, jobs)) / size,
        "cancel": 1e6 * timed(lambda: [queue.remove(job.id) for job in jobs[::10]]) / len(jobs[::10]),
        "pick": 1e6 * timed(lambda: take(queue, size // 2)) / (size // 2),
        "list": 1e3 * timed(lambda: list(itertools.islice(queue.upcoming(), 1_000))),
    }


def push_all(queue: JobQueue, jobs: list[Job]) -> None:
    """Submit all jobs."""
    for job in jobs:
        queue.push(job)


def make_jobs(size: int) -> list[Job]:
    """Return jobs in lanes of ten on average."""
    chooser = random.Random(0)
    lanes, out = max(size // 10, 1), []
    for _ in range(size):
        user, length = chooser.randrange(lanes), chooser.randint(1, 300)
        request = SentimentRequest(model=f"m{chooser.randrange(4)}", text="x" * length)
        out.append(Job(task="sentiment", request=request, requester=Requester(user_id=user, guild_id=user // 20)))
    return out


def take(queue: JobQueue, count: int) -> None:
    """Take batches until `count` jobs are gone."""
    while count > 0 and len(queue):
        count -= len(queue.pop_batch())


def timed(action: object) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    action()  # type: ignore[operator]
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
