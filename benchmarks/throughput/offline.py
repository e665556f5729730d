"""Run transformers' pipeline without a server: one text a call, and the oracle that knows all texts beforehand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.throughput.case import Case, load_offline
from benchmarks.throughput.engine import Sample, ask_all


class Naive:
    """Call the pipeline with one item for each job, in an executor of one thread, as a simple bot does."""

    name = "naive"
    settings: Sequence[int] = (1,)

    async def run(self, case: Case, setting: int) -> Sample:
        """Measure with a pipeline of its own."""
        classify = load_offline(case.task, case.folder, case.threads, setting)
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as executor:
            return await ask_all(case, lambda item: loop.run_in_executor(executor, classify, [item]))


class Oracle:
    """Sort all items by length, which only an offline job can, and run them in batches of the best size."""

    name = "oracle"
    settings: Sequence[int] = (1, 2, 4, 8, 16, 32, 64)

    async def run(self, case: Case, setting: int) -> Sample:
        """Measure one batch size."""
        classify = load_offline(case.task, case.folder, case.threads, setting)
        items = sorted(case.items, key=len)
        classify(case.warm_up)
        started = time.perf_counter()
        classify(items)
        return Sample(time.perf_counter() - started)
