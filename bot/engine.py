"""Take jobs, run them fairly on the devices, and tell how they fare. The only thing that cogs talk to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from bot.config import QueueSettings
from bot.errors import JobCancelled, Refused, UserError
from bot.inference.messages import Answered, BatchReport, Event, Loading, Progress, Started
from bot.inference.pipeline import Failure, Outcome, Request
from bot.inference.settings import TaskSettings
from bot.jobs.admission import Admission
from bot.jobs.deadlines import Deadlines, expired
from bot.jobs.estimate import Estimator
from bot.jobs.executor import DeviceHandle, Executor, WorkerDied
from bot.jobs.failures import Failures, InternalError
from bot.jobs.job import Job, JobState, Requester
from bot.jobs.look_ahead import LookAhead
from bot.jobs.outlook import Outlook
from bot.jobs.placement import place
from bot.jobs.queue import BatchLimits, JobQueue
from bot.jobs.runs import Run, models_now
from bot.jobs.store import Store
from bot.jobs.unfetched import Unfetched

log = logging.getLogger(__name__)
_TICK_S = 1.0
_MAX_ATTEMPTS = 2
_ESTIMATES = "estimates"


class Engine:
    """Queue jobs and run them in batches on the executor's devices."""

    def __init__(
        self, *, executor: Executor, store: Store, tasks: Mapping[str, TaskSettings], limits: QueueSettings
    ) -> None:
        self.executor = executor
        self.store = store
        self.tasks = tasks
        self.limits = limits
        self._runs: dict[str, Run] = {}
        self._running: dict[str, Run] = {}
        self._queue = JobQueue(cost=lambda job: self.estimator.seconds(job.request), limits=self._batch_limits)
        self._outlook = Outlook(
            self._queue,
            runs=self._runs,
            running=self._running,
            rows=lambda job: tasks[job.task].max_rows,
            guest_share=limits.guest_share,
        )
        self.admission = Admission(limits, self._outlook.ends_in_s)
        self._ahead = LookAhead()
        self._unfetched = Unfetched()
        self.failures = Failures()
        self._deadlines = Deadlines()
        self._guests_due: asyncio.TimerHandle | None = None
        self._sizes: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._batches: set[asyncio.Task[None]] = set()
        self._learned = False
        self._closing = False

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Return the jobs that wait or run, by id."""
        return self.admission.jobs

    @property
    def models(self) -> Mapping[str, float | None]:
        """Return the models that are in memory (None) or made ready (the share that is fetched; 0 when unknown)."""
        return {**self._unfetched.shares, **models_now(self.executor.devices, self._runs.values())}

    @property
    def estimator(self) -> Estimator:
        """Return what is known of how long things take."""
        return self._outlook.estimator

    async def start(self) -> list[Job]:
        """Open the store and the devices; return the jobs of the last run that still need an answer."""
        await self.store.open()
        self._outlook.estimator = Estimator(await self.store.value(_ESTIMATES))
        self._outlook.devices = len(self.executor.devices)
        await self.executor.start(self._dispatch)
        jobs = await self.store.unanswered()
        for job in jobs:
            self._recover(job)
        self._spawn(self._tick())
        self._dispatch()
        return jobs

    async def drain(self) -> None:
        """Take no more jobs and let those that run end, within the grace."""
        self._closing = True
        if self._batches:
            await asyncio.wait(self._batches, timeout=self.limits.shutdown_grace_s)

    async def close(self) -> None:
        """Drain, leave the other jobs in the store, and stop the devices."""
        if not self._closing:
            await self.drain()
        for job in [job for job in self.jobs.values() if not job.state.final]:
            run = self._running.get(job.id)
            job.attempts -= run is not None and run.computing  # a stop is no death
            job.update(state=JobState.QUEUED)
            self.store.save(job)
        self._outlook.close()
        if self._guests_due is not None:
            self._guests_due.cancel()
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
        self.admission.check(job)
        self.admission.hold(job)
        try:
            await self.store.add(job)
        except BaseException:
            self.admission.release(job)
            raise
        self._enqueue(job)
        self._dispatch()
        if job.id in self._queue:
            self._ahead.offer(job, self._busy_devices())
        return job

    def cancel(self, job_id: str) -> bool:
        """Stop a job: at once while it waits, at its next step while it runs. Say whether there was one."""
        job = self.jobs.get(job_id)
        if job is None:
            return False
        if self._take_out(job_id):
            self._finish(job, JobState.CANCELLED, error=JobCancelled("Cancelled."))
        elif job_id in self._running:
            self._running[job_id].device.cancel(job_id)
        return True

    def fetching(self, shares: Mapping[str, float]) -> None:
        """Keep the jobs of these models from the devices, and show them the share that is fetched; let go of others."""
        for job in self._unfetched.tell(shares):
            self._queue.push(job)
        self._outlook.soon()
        self._dispatch()

    def answered(self, job: Job) -> None:
        """Note that a job's answer was posted."""
        self.store.answered(job)

    def forecast_now(self) -> None:
        """Bring the statuses of the waiting jobs up to date, instead of within a second."""
        self._outlook.now()

    def running(self) -> list[Job]:
        """Return the jobs that devices work on."""
        return [run.jobs[job_id] for job_id, run in self._running.items()]

    def _recover(self, job: Job) -> None:
        """Put a job of the last run back: queued again, or failed when it was running at two deaths."""
        if job.state.final:
            return
        if job.attempts >= _MAX_ATTEMPTS:
            job.finish(JobState.FAILED, error=UserError(_CRASHED))
            self.store.save(job)
            return
        job.update(state=JobState.QUEUED)
        self.admission.hold(job)
        self._enqueue(job)

    def _enqueue(self, job: Job, *, front: bool = False) -> None:
        self._deadlines.push(job)
        if not self._unfetched.holds(job):
            self._queue.push(job, front=front)
            self._outlook.soon()

    def _take_out(self, job_id: str) -> Job | None:
        """Take a job out that waits for its turn or its model; return None when it doesn't."""
        job = self._queue.remove(job_id)
        if job is not None:
            self._ahead.taken(job)
        return job or self._unfetched.remove(job_id)

    # Dispatch

    def _batch_limits(self, job: Job) -> BatchLimits:
        """Bound a job's batch; one that gives way to short jobs may take its time."""
        seconds = float("inf") if job.request.gives_way else self.limits.batch_s
        return BatchLimits(rows=self.tasks[job.task].max_rows, seconds=seconds)

    def _dispatch(self) -> None:
        """Give every free device a batch while jobs wait, and short jobs to those that give way."""
        self._expire()
        if self._closing:
            return
        while (head := self._queue.head()) and (free := self._free_devices()):
            limits = self._batch_limits(head)
            fair_rows = -(-self._queue.count_with(head) // len(free))
            jobs = self._queue.pop_batch(replace(limits, rows=min(limits.rows, fair_rows)))
            self._start(place(head.request.model, free, self._sizes), jobs)
        self._invite_guests()

    def _free_devices(self) -> list[DeviceHandle]:
        return [d for d in self.executor.devices if d.available and d.name not in self._runs]

    def _busy_devices(self) -> list[DeviceHandle]:
        return [run.device for run in self._runs.values()]

    def _invite_guests(self) -> None:
        """Let jobs run while models are loaded, and short ones between the steps of images, within limits."""
        for run in list(self._runs.values()):
            *_, innermost = run.chain()
            if innermost.gives_way and (self.limits.guest_share or innermost.loading) and not self._closing:
                self._invite_to(innermost)

    def _invite_to(self, run: Run) -> None:
        welcome = partial(run.welcomes, self.estimator)
        head, credit_s = self._queue.head(welcome), run.guest_credit_s(self.limits.guest_share)
        if head is None:
            return
        if (short_s := run.cost_s(self.estimator, head) - credit_s) > 0:
            self._invite_later(short_s * (1.0 / self.limits.guest_share - 1.0))
            return
        limits = self._batch_limits(head)
        jobs = self._queue.pop_batch(replace(limits, seconds=min(limits.seconds, credit_s)), only=welcome)
        self._start(run.device, jobs, host=run)

    def _invite_later(self, seconds: float) -> None:
        if self._guests_due is not None:
            self._guests_due.cancel()
        self._guests_due = asyncio.get_running_loop().call_later(seconds, self._dispatch)

    def _start(self, device: DeviceHandle, jobs: Sequence[Job], *, host: Run | None = None) -> None:
        expected_s = sum(self.estimator.seconds(job.request, device.name) for job in jobs)
        run = Run.of(device, jobs, expected_s, host)
        if host is None:
            self._runs[device.name] = run
        else:
            host.guest = run
        for job in jobs:
            job.update(state=JobState.RUNNING, ahead=None, starts_in_s=None)
            self._running[job.id] = run
            self._ahead.taken(job, device)
        task = self._spawn(self._run(run))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)
        self._ahead.refill(self._queue.upcoming(), self._busy_devices())

    async def _run(self, run: Run) -> None:
        requests = [job.request for job in run.jobs.values()]
        try:
            report = await run.device.run(run.batch, lambda event: self._hear(run, event))
        except WorkerDied as death:
            self._leave(run)
            self._after_death(run, death)
        except Exception:
            log.exception("batch on %s failed", run.device.name)
            self._leave(run)
        else:
            self._leave(run)
            self._learn(run, requests, report)
        for job in list(run.jobs.values()):
            self._conclude(run, job, Failure(InternalError(f"job {job.id} got no answer")))
        if not len(self._queue) and not self._runs:
            self._queue.rest()
        self._dispatch()
        self._outlook.soon()

    def _leave(self, run: Run) -> None:
        """Note that a device is done with a batch; a guest's time is taken off its host's account."""
        if run.host is None:
            del self._runs[run.device.name]
        else:
            run.host.guest = None
            run.host.guests_s += run.taken_s + run.guests_s

    def _hear(self, run: Run, event: Event) -> None:
        """Take what a worker says of a batch."""
        match event:
            case Answered(job_id, outcome, seconds) if job_id in run.jobs:
                run.jobs[job_id].seconds = seconds
                run.taken_s += seconds
                self._conclude(run, run.jobs[job_id], outcome)
            case Progress(job_id, step, steps) if job_id in run.jobs:
                run.jobs[job_id].update(step=step, steps=steps, loading=None)
                run.ending = step >= steps
            case Loading(model, share):
                run.load(model, share, self.estimator)
                for job in run.jobs.values():
                    job.update(loading=share or 0.0)
                self._invite_guests()
            case Started():
                self._begin(run)

    def _begin(self, run: Run) -> None:
        """Note that a worker computes now: from here on a death may be the jobs' fault."""
        for job in run.jobs.values():
            job.update(loading=None)
            if not run.computing:
                job.attempts += 1
                self.store.save(job)
        run.begin()
        self._invite_guests()

    def _learn(self, run: Run, requests: Sequence[Request], report: BatchReport) -> None:
        """Remember how long things took; not of a batch in which something failed."""
        self._learned = True
        self._sizes |= report.loaded
        for model, seconds in report.loading_s.items():
            self.estimator.learn_loading(model, run.device.name, seconds)
        if not run.jobs and not run.failed:
            self.estimator.learn(requests, report.seconds, run.device.name)

    def _conclude(self, run: Run, job: Job, outcome: Outcome) -> None:
        """Give a job its outcome, and charge what it really cost."""
        del run.jobs[job.id], self._running[job.id]
        self._queue.charge(job.requester, job.seconds - job.charged_s)
        if not isinstance(outcome, Failure):
            self._finish(job, JobState.DONE, result=outcome)
            return
        run.failed = True
        if isinstance(outcome.error, JobCancelled):
            self._finish(job, JobState.CANCELLED, error=outcome.error)
        else:
            self._finish(job, JobState.FAILED, error=self.failures.hear(job.id, outcome))

    def _after_death(self, run: Run, death: WorkerDied) -> None:
        """Put the jobs of a lost worker back once; fail one that was running at two deaths."""
        for job in reversed(run.jobs.values()):
            del self._running[job.id]
            self._queue.charge(job.requester, -job.charged_s)
            job.attempts += not run.computing
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
        run.jobs.clear()

    def _finish(self, job: Job, state: JobState, **end: object) -> None:
        self.admission.release(job)
        if job.finish(state, **end):  # type: ignore[arg-type]
            self.store.save(job)

    # Time

    async def _tick(self) -> None:
        """Once a second: tell waiting people where they stand, drop what waited too long, keep what was learned."""
        while True:
            await asyncio.sleep(_TICK_S)
            self._expire()
            self._outlook.now()
            if self._learned:
                self._learned = False
                self.store.keep(_ESTIMATES, self.estimator.seconds_per_unit)

    def _expire(self) -> None:
        for job_id in self._deadlines.due():
            job = self._take_out(job_id)
            if job is not None:
                self._finish(job, JobState.EXPIRED, error=expired(job))

    def _spawn(self, coroutine: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(coroutine)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


_POISON = "This job stopped the worker twice, so it won't be tried again. Try it with other options."
_CRASHED = "The bot crashed twice while this job ran, so it won't be tried again. Try it with other options."
_NO_WORKER = "The models can't be run here just now; the bot's log says why. Try again later."
