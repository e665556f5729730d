"""Take jobs, run them fairly on the devices, and tell how they fare. The only thing that cogs talk to."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import time
from collections.abc import Iterable, Mapping, Sequence

from bot.config import QueueSettings
from bot.durations import spoken
from bot.errors import JobCancelled, JobExpired, Refused, UserError
from bot.inference.messages import Batch, BatchItem, BatchReport, Event, Loading, Progress, Started
from bot.inference.pipeline import Failure, Outcome, Request
from bot.inference.settings import TaskSettings
from bot.jobs.admission import Admission
from bot.jobs.estimate import Estimator
from bot.jobs.executor import DeviceHandle, Executor, WorkerDied
from bot.jobs.forecast import forecast
from bot.jobs.job import Job, JobState, Requester
from bot.jobs.queue import BatchLimits, JobQueue
from bot.jobs.store import Store

log = logging.getLogger(__name__)
_TICK_S = 1.0
_FORECAST_DELAY_S = 0.05
_MAX_ATTEMPTS = 2
_ESTIMATES = "estimates"


class InternalError(Exception):
    """Tell that a job failed by a mistake of ours; the worker's traceback is in the log."""


class Engine:
    """Queue jobs and run them in batches on the executor's devices."""

    def __init__(
        self, *, executor: Executor, store: Store, tasks: Mapping[str, TaskSettings], limits: QueueSettings
    ) -> None:
        self.executor = executor
        self.store = store
        self.tasks = tasks
        self.limits = limits
        self.estimator = Estimator()
        self._admission = Admission(limits)
        self._queue = JobQueue(cost=lambda job: self.estimator.seconds(job.request), limits=self._batch_limits)
        self._deadlines: list[tuple[float, str]] = []
        self._forecast_due: asyncio.TimerHandle | None = None
        self._running: dict[str, _Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Return the jobs that wait or run, by id."""
        return self._admission.jobs

    async def start(self) -> list[Job]:
        """Open the store and the devices; return the jobs of the last run that still need an answer."""
        await self.store.open()
        self.estimator = Estimator(await self.store.value(_ESTIMATES))
        await self.executor.start()
        jobs = await self.store.unanswered()
        for job in jobs:
            self._recover(job)
        self._spawn(self._tick())
        self._dispatch()
        return jobs

    async def drain(self) -> None:
        """Take no more jobs and let those that run end, within the grace."""
        self._closing = True
        runs = [run.task for run in self._running.values() if run.task]
        if runs:
            await asyncio.wait(runs, timeout=self.limits.shutdown_grace_s)

    async def close(self) -> None:
        """Drain, leave the other jobs in the store, and stop the devices."""
        if not self._closing:
            await self.drain()
        for job in self._unfinished():
            job.attempts -= job.state is JobState.RUNNING  # a stop is no death of the worker
            job.update(state=JobState.QUEUED)
            self.store.save(job)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.executor.close()
        self.store.keep(_ESTIMATES, self.estimator.seconds_per_unit)
        await self.store.close()

    async def submit(
        self,
        task: str,
        request: Request,
        requester: Requester,
        *,
        reply_to: Mapping[str, object] | None = None,
    ) -> Job:
        """Queue a job; raise BadInput or Refused when it can't be taken. It is durable when this returns."""
        self.tasks[task].check(request)
        job = Job(task=task, request=request, requester=requester, reply_to=reply_to)
        job.expires_at = job.created_at + self.limits.expire_s
        if self._closing:
            raise Refused("The bot is restarting. Try again in a minute.", retry_after_s=60)
        self._admission.check(job)
        self._admission.hold(job)
        try:
            await self.store.add(job)
        except BaseException:
            self._admission.release(job)
            raise
        self._enqueue(job)
        self._dispatch()
        return job

    def cancel(self, job_id: str) -> bool:
        """Stop a job: at once while it waits, at its next step while it runs. Say whether there was one."""
        job = self.jobs.get(job_id)
        if job is None:
            return False
        if self._queue.remove(job_id):
            self._finish(job, JobState.CANCELLED, error=JobCancelled("Cancelled."))
        elif job_id in self._running:
            self._running[job_id].device.cancel(job_id)
        return True

    def answered(self, job: Job) -> None:
        """Note that a job's answer was posted."""
        self.store.answered(job)

    def forecast_now(self) -> list[Job]:
        """Return the waiting jobs in the order in which they should run, their statuses up to date."""
        self._forecast()
        return list(self._queue.upcoming())

    def running(self) -> list[Job]:
        """Return the jobs that devices work on."""
        return [run.job for run in self._running.values()]

    def _recover(self, job: Job) -> None:
        """Put a job of the last run back: queued again, or failed when it was running at two deaths."""
        if job.state.final:
            return
        if job.attempts >= _MAX_ATTEMPTS:
            job.finish(JobState.FAILED, error=UserError(_POISON))
            self.store.save(job)
            return
        job.update(state=JobState.QUEUED)
        self._admission.hold(job)
        self._enqueue(job)

    def _enqueue(self, job: Job, *, front: bool = False) -> None:
        self._queue.push(job, front=front)
        heapq.heappush(self._deadlines, (job.expires_at, job.id))
        self._forecast_soon()

    # Dispatch

    def _batch_limits(self, job: Job) -> BatchLimits:
        settings = self.tasks[job.task]
        return BatchLimits(rows=settings.max_rows, padded=settings.padded_limit())

    def _dispatch(self) -> None:
        """Give every free device a batch while jobs wait."""
        self._expire()
        while len(self._queue) and not self._closing:
            busy = {run.device.name for run in self._running.values()}
            free = [device for device in self.executor.devices if device.name not in busy]
            if not free:
                return
            head = self._queue.head()
            device = min(free, key=lambda d: head.request.model not in d.warm)
            jobs = self._queue.pop_batch()
            self._start(device, jobs)

    def _start(self, device: DeviceHandle, jobs: Sequence[Job]) -> None:
        for job in jobs:
            job.attempts += 1
            job.update(state=JobState.RUNNING, ahead=None, starts_in_s=None)
            self._running[job.id] = _Run(job, device, self.estimator.seconds(job.request))
            self.store.save(job)
        task = self._spawn(self._run(device, jobs))
        for job in jobs:
            self._running[job.id].task = task

    async def _run(self, device: DeviceHandle, jobs: Sequence[Job]) -> None:
        batch = Batch(jobs[0].task, tuple(BatchItem(job.id, job.request) for job in jobs))
        by_id = {job.id: job for job in jobs}
        try:
            report = await device.run(batch, lambda event: _show(by_id, event))
        except WorkerDied as death:
            self._leave(jobs)
            self._after_death(jobs, death)
        except Exception:
            log.exception("batch on %s failed", device.name)
            self._leave(jobs)
            self._settle(jobs, BatchReport([Failure(InternalError())] * len(jobs), 0.0, device.warm))
        else:
            self._leave(jobs)
            self._settle(jobs, report)
        self._dispatch()
        self._forecast_soon()

    def _leave(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._running.pop(job.id, None)

    def _settle(self, jobs: Sequence[Job], report: BatchReport) -> None:
        """Give every job of a batch its outcome, and charge what it really cost."""
        work = sum(job.request.work for job in jobs) or 1.0
        for job, outcome in zip(jobs, report.outcomes, strict=True):
            job.seconds = report.seconds * job.request.work / work
            self._queue.charge(job.requester, job.seconds - self.estimator.seconds(job.request))
            self._conclude(job, outcome)
        done = [
            job.request for job, outcome in zip(jobs, report.outcomes, strict=True) if not isinstance(outcome, Failure)
        ]
        if len(done) == len(jobs):
            self.estimator.learn(done, report.seconds)

    def _conclude(self, job: Job, outcome: Outcome) -> None:
        if not isinstance(outcome, Failure):
            self._finish(job, JobState.DONE, result=outcome)
        elif isinstance(outcome.error, JobCancelled):
            self._finish(job, JobState.CANCELLED, error=outcome.error)
        else:
            if outcome.error is None:
                log.error("job %s failed:\n%s", job.id, outcome.traceback)
            self._finish(job, JobState.FAILED, error=outcome.error or InternalError(f"job {job.id}"))

    def _after_death(self, jobs: Sequence[Job], death: WorkerDied) -> None:
        """Put the jobs of a lost worker back once; fail one that was running at two deaths."""
        for job in reversed(jobs):
            if self._closing:
                job.attempts -= 1
                job.update(state=JobState.QUEUED)
                self.store.save(job)
            elif job.attempts >= _MAX_ATTEMPTS:
                self._finish(job, JobState.FAILED, error=UserError(_POISON if death.started else _NO_WORKER))
            else:
                job.update(state=JobState.QUEUED, step=0, steps=0, loading=None)
                self._enqueue(job, front=True)
                self.store.save(job)

    def _finish(self, job: Job, state: JobState, **end: object) -> None:
        self._admission.release(job)
        if job.finish(state, **end):  # type: ignore[arg-type]
            self.store.save(job)

    # Time

    async def _tick(self) -> None:
        """Once a second: tell waiting people where they stand, and drop what waited too long."""
        while True:
            await asyncio.sleep(_TICK_S)
            self._expire()
            self._forecast()

    def _expire(self) -> None:
        now = time.time()
        while self._deadlines and self._deadlines[0][0] <= now:
            job = self._queue.remove(heapq.heappop(self._deadlines)[1])
            if job is not None:
                waited = spoken(now - job.created_at)
                self._finish(job, JobState.EXPIRED, error=JobExpired(_EXPIRED, waited=waited))

    def _forecast_soon(self) -> None:
        """Forecast in a moment, once for all changes until then."""
        if self._forecast_due is None:
            self._forecast_due = asyncio.get_running_loop().call_later(_FORECAST_DELAY_S, self._forecast)

    def _forecast(self) -> None:
        """Tell each waiting job how many are ahead of it and when it should start."""
        if self._forecast_due is not None:
            self._forecast_due.cancel()
            self._forecast_due = None
        if len(self._queue):
            remaining = [run.remaining_s() for run in self._running.values()]
            forecast(self._queue.upcoming(), self.estimator, remaining, len(self.executor.devices))

    def _unfinished(self) -> list[Job]:
        return [job for job in self.jobs.values() if not job.state.final]

    def _spawn(self, coroutine: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(coroutine)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Run:
    """Remember where a job runs and since when."""

    def __init__(self, job: Job, device: DeviceHandle, expected_s: float) -> None:
        self.job = job
        self.device = device
        self.task: asyncio.Task[None] | None = None
        self._ends_at = time.monotonic() + expected_s

    def remaining_s(self) -> float:
        """Return the seconds until the job should be done."""
        return max(self._ends_at - time.monotonic(), 0.0)


def _show(jobs: Mapping[str, Job], event: Event) -> None:
    """Write an event of the worker into the jobs it concerns."""
    if isinstance(event, Progress):
        with contextlib.suppress(KeyError):
            jobs[event.job_id].update(step=event.step, steps=event.steps, loading=None)
    elif isinstance(event, Loading):
        for job in jobs.values():
            job.update(loading=event.share or 0.0)
    elif isinstance(event, Started):
        for job in jobs.values():
            job.update(loading=None)


_POISON = "This job stopped the worker twice, so it won't be tried again. Try it with other options."
_NO_WORKER = "The models can't be run here just now; the bot's log says why. Try again later."
_EXPIRED = "This job waited for {waited} without a turn and was dropped. Send it again when there is less to do."
