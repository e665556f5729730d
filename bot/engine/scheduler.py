"""Give each free device its next batch, let short jobs run inside preemptible batches, and take the results."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from bot.config import QueueSettings
from bot.engine.deadlines import Deadlines, expired
from bot.engine.estimator import Estimator
from bot.engine.eta import EtaUpdater
from bot.engine.failure_log import FailureLog, InternalError
from bot.engine.job import Job, JobState
from bot.engine.placement import choose_device
from bot.engine.prefetch import Prefetcher
from bot.engine.queue import BatchLimits, JobQueue
from bot.engine.running_batch import RunningBatch, models_now
from bot.engine.waiting_for_download import WaitingForDownload
from bot.errors import JobCancelled, UserError
from bot.tasks.base import Failure, Outcome, Request, Result
from bot.tasks.settings import TaskSettings
from bot.workers.executor import DeviceHandle, Executor, WorkerDied
from bot.workers.protocol import Answered, BatchReport, Event, Loading, Progress, Started

log = logging.getLogger(__name__)
MAX_ATTEMPTS = 2


class Finish(Protocol):
    """Let a job end, and everybody know."""

    def __call__(
        self, job: Job, state: JobState, *, result: Result | None = None, error: Exception | None = None
    ) -> None:
        """Enter a final state, with the result or the error that goes with it."""


class Scheduler:
    """Hold the jobs that wait and those that run on the executor's devices.

    `save` writes a job's state, `load_request` reads its request with the whole input, `finish` ends it. `learned`: the
    estimates have changed since that was last unset.
    """

    def __init__(
        self,
        *,
        executor: Executor,
        tasks: Mapping[str, TaskSettings],
        limits: QueueSettings,
        save: Callable[[Job], None],
        load_request: Callable[[Job], Awaitable[Request]],
        finish: Finish,
    ) -> None:
        self.failure_log = FailureLog()
        self.closing = self.learned = False
        self._executor = executor
        self._tasks = tasks
        self._limits = limits
        self._save = save
        self._load_request = load_request
        self._finish = finish
        self._batch_on_device: dict[str, RunningBatch] = {}
        self._batch_of_job: dict[str, RunningBatch] = {}
        self._queue = JobQueue(cost=lambda job: self.estimator.seconds(job.request), limits=self._batch_limits)
        self.etas = EtaUpdater(
            self._queue,
            runs=self._batch_on_device,
            running=self._batch_of_job,
            devices=lambda: sum(device.available for device in self._usable_devices()),
            rows=lambda job: tasks[job.task].max_rows,
            guest_share=limits.guest_share,
        )
        self._prefetcher = Prefetcher()
        self._waiting_for_download = WaitingForDownload()
        self._deadlines = Deadlines(lambda job_id: job_id in self._queue or job_id in self._waiting_for_download)
        self._interleave_due: asyncio.TimerHandle | None = None
        self._sizes: dict[str, int] = {}
        self._batches: set[asyncio.Task[None]] = set()

    @property
    def estimator(self) -> Estimator:
        """Return what is known of how long things take."""
        return self.etas.estimator

    @property
    def models(self) -> Mapping[str, float | None]:
        """Return the models that are in memory (None) or made ready (the share that is fetched; 0 when unknown)."""
        return {
            **self._waiting_for_download.shares,
            **models_now(self._executor.devices, self._batch_on_device.values()),
        }

    def running(self) -> list[Job]:
        """Return the jobs that devices work on."""
        return [run.jobs[job_id] for job_id, run in self._batch_of_job.items()]

    def enqueue(self, job: Job, *, front: bool = False) -> None:
        """Let a job wait for its turn, or until its model is fetched."""
        self._deadlines.push(job)
        if not self._waiting_for_download.add_if_downloading(job):
            self._queue.push(job, front=front)
            self.etas.schedule()

    def prefetch(self, job: Job) -> None:
        """Get a job ready that still waits, on a device that works on others."""
        if job.id in self._queue:
            self._prefetcher.prefetch(job, self._busy_devices())

    def remove_waiting(self, job_id: str) -> Job | None:
        """Take a job out that waits for its turn or its model; return None when it doesn't."""
        job = self._queue.remove(job_id)
        if job is not None:
            self._prefetcher.discard(job)
        return job or self._waiting_for_download.remove(job_id)

    def stop(self, job_id: str) -> None:
        """Stop a job at its next step, if it runs."""
        if job_id in self._batch_of_job:
            self._batch_of_job[job_id].device.cancel(job_id)

    def update_downloads(self, shares: Mapping[str, float]) -> None:
        """Keep the jobs of these models from the devices, and show them the share that is fetched; let go of others."""
        for job in self._waiting_for_download.update(shares):
            self._queue.push(job)
        self.etas.schedule()
        self.dispatch()

    def expire(self) -> None:
        """Drop what waited too long."""
        for job_id in self._deadlines.due():
            job = self.remove_waiting(job_id)
            if job is not None:
                self._finish(job, JobState.EXPIRED, error=expired(job))

    async def drain(self) -> None:
        """Start nothing more, and let what runs end within the grace. What is killed then is no fault of the jobs."""
        self.closing = True
        for job_id, run in self._batch_of_job.items():
            if run.computing:
                run.jobs[job_id].attempts -= 1
                self._save(run.jobs[job_id])
        if self._batches:
            await asyncio.wait(self._batches, timeout=self._limits.shutdown_grace_s)

    async def close(self) -> None:
        """Leave what still runs."""
        self.etas.close()
        if self._interleave_due is not None:
            self._interleave_due.cancel()
        for batch in self._batches:
            batch.cancel()
        await asyncio.gather(*self._batches, return_exceptions=True)

    def _batch_limits(self, job: Job) -> BatchLimits:
        """Return the limits of a job's batch; a preemptible one has no limit in seconds."""
        seconds = float("inf") if job.request.preemptible else self._limits.batch_s
        return BatchLimits(rows=self._tasks[job.task].max_rows, seconds=seconds)

    def dispatch(self) -> None:
        """Give every free device a batch while jobs wait, then let short jobs run inside preemptible batches."""
        self.expire()
        if self.closing:
            return
        while (head := self._queue.head()) and (free := self._free_devices()):
            limits = self._batch_limits(head)
            fair_rows = -(-self._queue.count_with(head) // len(free))
            jobs = self._queue.pop_batch(replace(limits, rows=min(limits.rows, fair_rows)))
            self._start(choose_device(head.request.model, free, self._sizes), jobs)
        self._interleave()

    def _free_devices(self) -> list[DeviceHandle]:
        return [d for d in self._usable_devices() if d.available and d.name not in self._batch_on_device]

    def _usable_devices(self) -> Sequence[DeviceHandle]:
        """Return the devices that can be opened, as far as one knows; all if there is none."""
        return [d for d in self._executor.devices if not d.unproven] or self._executor.devices

    def _busy_devices(self) -> list[DeviceHandle]:
        return [run.device for run in self._batch_on_device.values()]

    def _interleave(self) -> None:
        """Start inner batches: while a model is loaded, and between the steps of images within `guest_share`."""
        for run in list(self._batch_on_device.values()):
            *_, innermost = run.nested()
            if innermost.preemptible and (self._limits.guest_share or innermost.loading) and not self.closing:
                self._interleave_in(innermost)

    def _interleave_in(self, run: RunningBatch) -> None:
        """Start the next inner batch that the earned time is enough for; without one, look again when it is."""
        credit_s = run.interleave_credit_s(self._limits.guest_share)

        def fits(job: Job) -> bool:
            return run.admits(self.estimator, job) and run.cost_s(self.estimator, job) <= credit_s

        head = self._queue.head(fits)
        if head is None:
            self._interleave_later(run, credit_s)
            return
        limits = self._batch_limits(head)
        jobs = self._queue.pop_batch(replace(limits, seconds=min(limits.seconds, credit_s)), only=fits)
        self._start(run.device, jobs, outer=run)

    def _interleave_later(self, run: RunningBatch, credit_s: float) -> None:
        """Look again when the cheapest waiting job fits, or earlier for another batch."""
        costs_s = [run.cost_s(self.estimator, job) for job in self._queue.heads() if run.admits(self.estimator, job)]
        if not costs_s:
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + (min(costs_s) - credit_s) * (1.0 / self._limits.guest_share - 1.0)
        if self._interleave_due is not None:
            due = min(due, self._interleave_due.when())
            self._interleave_due.cancel()
        self._interleave_due = loop.call_at(due, self._look_again)

    def _look_again(self) -> None:
        self._interleave_due = None
        self.dispatch()

    def _start(self, device: DeviceHandle, jobs: Sequence[Job], *, outer: RunningBatch | None = None) -> None:
        expected_s = sum(self.estimator.seconds(job.request, device.name) for job in jobs)
        run = RunningBatch.of(device, jobs, expected_s, outer)
        if outer is None:
            self._batch_on_device[device.name] = run
        else:
            outer.inner = run
        for job in jobs:
            job.update(state=JobState.RUNNING, ahead=None, starts_in_s=None)
            self._batch_of_job[job.id] = run
            self._prefetcher.discard(job, device)
        task = asyncio.create_task(self._run(run))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)
        self._prefetcher.fill(self._queue.upcoming(), self._busy_devices())

    async def _run(self, run: RunningBatch) -> None:
        requests: list[Request] = []
        try:
            await self._load_inputs(run)
            requests = [job.request for job in run.jobs.values()]
            report = await self._compute(run)
        except WorkerDied as death:
            self._finish_batch(run)
            self._on_worker_death(run, death)
        except Exception:
            log.exception("batch on %s failed", run.device.name)
            self._finish_batch(run)
        else:
            self._finish_batch(run)
            self._record_timing(run, requests, report)
        for job in list(run.jobs.values()):
            self._finish_job(run, job, Failure(InternalError(f"job {job.id} got no answer")))
        if not len(self._queue) and not self._batch_on_device:
            self._queue.reset()
        self.dispatch()
        self.etas.schedule()

    async def _compute(self, run: RunningBatch) -> BatchReport:
        """Let the device run the batch."""
        if not run.jobs:  # the inputs of all of them were lost
            return BatchReport(seconds=0.0)
        return await run.device.run(run.batch, lambda event: self._on_event(run, event))

    async def _load_inputs(self, run: RunningBatch) -> None:
        """Fetch the inputs that are in the store only."""
        for job in [job for job in run.jobs.values() if job.stored_bytes]:
            try:
                job.request, job.stored_bytes = await self._load_request(job), 0
            except UserError as error:
                self._finish_job(run, job, Failure(error))
            else:
                if job.stopped:  # the worker doesn't have it yet
                    self._finish_job(run, job, Failure(JobCancelled("Cancelled.")))

    def _finish_batch(self, run: RunningBatch) -> None:
        """Note that a device is done with a batch; the time of an inner one isn't that of the outer one."""
        if run.outer is None:
            del self._batch_on_device[run.device.name]
        else:
            run.outer.inner = None
            run.outer.inner_s += run.taken_s + run.inner_s

    def _on_event(self, run: RunningBatch, event: Event) -> None:
        """Take what a worker says of a batch."""
        match event:
            case Answered(job_id, outcome, seconds) if job_id in run.jobs:
                run.jobs[job_id].seconds = seconds
                run.taken_s += seconds
                self._finish_job(run, run.jobs[job_id], outcome)
            case Progress(job_id, step, steps) if job_id in run.jobs:
                run.jobs[job_id].update(step=step, steps=steps, loading=None)
                run.ending = step >= steps
            case Loading(model, share):
                run.load(model, share, self.estimator)
                for job in run.jobs.values():
                    job.update(loading=share or 0.0)
                self._interleave()
            case Started():
                self._on_started(run)

    def _on_started(self, run: RunningBatch) -> None:
        """Note that a worker computes now: from here on a death may be the jobs' fault."""
        for job in run.jobs.values():
            job.update(loading=None)
            if not (run.computing or self.closing):
                job.attempts += 1
                self._save(job)
        run.begin()
        self._interleave()

    def _record_timing(self, run: RunningBatch, requests: Sequence[Request], report: BatchReport) -> None:
        """Remember how long things took; not of a batch in which something failed."""
        self.learned = True
        self._sizes |= report.loaded
        for model, seconds in report.loading_s.items():
            self.estimator.learn_loading(model, run.device.name, seconds)
        if not run.jobs and not run.failed:
            self.estimator.learn(requests, report.seconds, run.device.name)

    def _finish_job(self, run: RunningBatch, job: Job, outcome: Outcome) -> None:
        """Give a job its outcome, and charge what it really cost."""
        del run.jobs[job.id], self._batch_of_job[job.id]
        self._queue.charge(job.requester, job.seconds - job.charged_s)
        if not isinstance(outcome, Failure):
            self._finish(job, JobState.DONE, result=outcome)
            return
        run.failed = True
        if isinstance(outcome.error, JobCancelled):
            self._finish(job, JobState.CANCELLED, error=outcome.error)
        else:
            self._finish(job, JobState.FAILED, error=self.failure_log.record(job.id, outcome))

    def _on_worker_death(self, run: RunningBatch, death: WorkerDied) -> None:
        """Put the jobs of a lost worker back once, at the price of its time; fail one that was running at two deaths.

        That a device can't be opened is no fault of the jobs, while there is another for them.
        """
        blameless = not death.started and any(not device.unproven for device in self._executor.devices)
        lost_s = max(run.own_s - run.taken_s, 0.0) if run.computing else 0.0
        expected_s = sum(job.charged_s for job in run.jobs.values()) or 1.0
        for job in reversed(run.jobs.values()):
            del self._batch_of_job[job.id]
            self._queue.charge(job.requester, job.charged_s * (lost_s / expected_s - 1.0))
            job.attempts += not (run.computing or blameless or self.closing)
            if job.stopped:
                self._finish(job, JobState.CANCELLED, error=JobCancelled("Cancelled."))
            elif self.closing:
                job.update(state=JobState.QUEUED)
                self._save(job)
            elif job.attempts >= MAX_ATTEMPTS:
                self._finish(job, JobState.FAILED, error=UserError(_POISON if death.started else _NO_WORKER))
            else:
                job.update(state=JobState.QUEUED, step=0, steps=0, loading=None)
                self.enqueue(job, front=True)
                self._save(job)
        run.jobs.clear()


_POISON = "This job stopped the worker twice, so it won't be tried again. Try it with other options."
_NO_WORKER = "The models can't be run here just now; the bot's log says why. Try again later."
