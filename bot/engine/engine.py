"""Take jobs, run them fairly on the devices, and tell how they fare. The only thing that cogs talk to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from bot.config import QueueSettings
from bot.engine.admission import Admission
from bot.engine.estimator import Estimator
from bot.engine.failure_log import FailureLog
from bot.engine.job import Job, JobState, Requester
from bot.engine.scheduler import MAX_ATTEMPTS, Scheduler
from bot.errors import JobCancelled, Refused, UserError
from bot.hub.reference import parse_reference
from bot.machine.background import BackgroundTasks
from bot.store.base import Store
from bot.tasks.base import Request, Result
from bot.tasks.settings import TaskSettings
from bot.workers.executor import Executor

_ESTIMATES = "estimates"


class Engine:
    """Queue jobs and run them in batches on the executor's devices.

    Every `tick_s` seconds overdue jobs are dropped and the expected starts are updated. `flush` waits `flush_s` seconds
    at most.
    """

    def __init__(
        self,
        *,
        executor: Executor,
        store: Store,
        tasks: Mapping[str, TaskSettings],
        limits: QueueSettings,
        tick_s: float = 1.0,
        flush_s: float = 1.0,
    ) -> None:
        self.executor = executor
        self.store = store
        self.tasks = tasks
        self.limits = limits
        self._scheduler = Scheduler(
            executor=executor,
            tasks=tasks,
            limits=limits,
            save=store.save,
            load_request=store.load_request,
            finish=self._finish,
        )
        self.admission = Admission(limits, self._scheduler.etas.ends_in_s)
        self._background = BackgroundTasks()
        self._tick_s = tick_s
        self._flush_s = flush_s

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Return the jobs that wait or run, by id."""
        return self.admission.jobs

    @property
    def models(self) -> Mapping[str, float | None]:
        """Return the models that are in memory (None) or made ready (the share that is fetched; 0 when unknown)."""
        return self._scheduler.models

    @property
    def estimator(self) -> Estimator:
        """Return what is known of how long things take."""
        return self._scheduler.estimator

    @property
    def failure_log(self) -> FailureLog:
        """Return what tells the host why jobs fail."""
        return self._scheduler.failure_log

    async def start(self) -> list[Job]:
        """Open the store and the devices; return the jobs of the last run that still need an answer."""
        await self.store.open()
        self._scheduler.etas.estimator = Estimator(await self.store.get_value(_ESTIMATES))
        await self.executor.start(self._scheduler.dispatch)
        jobs = []
        async for job in self.store.unanswered():
            self._recover(job)
            jobs.append(job)
        self._background.repeat(self._tick, every_s=self._tick_s, name="engine tick")
        self._scheduler.dispatch()
        return jobs

    async def drain(self) -> None:
        """Take no more jobs and let those that run end, within the grace."""
        await self._scheduler.drain()

    async def close(self) -> None:
        """Drain, leave the other jobs in the store, and stop the devices."""
        if not self._scheduler.closing:
            await self.drain()
        for job in [job for job in self.jobs.values() if not job.state.final]:
            if job.stopped:
                self._cancel(job)
                continue
            job.update(state=JobState.QUEUED)
            self.store.save(job)
        await self._scheduler.close()
        await self._background.close()
        await self.executor.close()
        self.store.set_value(_ESTIMATES, self.estimator.seconds_per_unit)
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
        if self._scheduler.closing:
            raise Refused("The bot is restarting. Try again in a minute.", retry_after_s=60)
        self.admission.check(job)
        self.admission.hold(job)
        try:
            await self.store.add(job)
        except BaseException:
            self.admission.release(job)
            raise
        if job.stopped:
            self._cancel(job)
            return job
        self._scheduler.enqueue(job)
        self._scheduler.dispatch()
        self._scheduler.prefetch(job)
        return job

    def cancel(self, job_id: str) -> bool:
        """Stop a job: at once while it waits, at its next step while it runs. Say whether there was one."""
        job = self.jobs.get(job_id)
        if job is None:
            return False
        job.stopped = True
        if self._scheduler.remove_waiting(job_id):
            self._cancel(job)
        else:
            self.store.save(job)
            self._scheduler.stop(job_id)
        return True

    async def flush(self) -> None:
        """Return when all until now is durable, or after a moment: a store in trouble holds nobody up for long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.store.flush(), self._flush_s)

    def update_downloads(self, shares: Mapping[str, float]) -> None:
        """Keep the jobs of these models from the devices, and show them the share that is fetched; let go of others."""
        self._scheduler.update_downloads(shares)

    def mark_answered(self, job: Job) -> None:
        """Note that a job's answer was posted."""
        self.store.mark_answered(job)

    def refresh_etas(self) -> None:
        """Bring the statuses of the waiting jobs up to date, instead of within a second."""
        self._scheduler.etas.refresh()

    def running(self) -> list[Job]:
        """Return the jobs that devices work on."""
        return self._scheduler.running()

    def _recover(self, job: Job) -> None:
        """Put a job of the last run back: queued again, or failed when it can't be run any more."""
        if job.state.final:
            return
        if (error := self._objection(job)) is not None:
            self._finish(job, JobState.FAILED, error=error)
            return
        job.update(state=JobState.QUEUED)
        job.leave_input_stored()
        self.admission.hold(job)
        self._scheduler.enqueue(job)

    def _objection(self, job: Job) -> UserError | None:
        """Return why a job of the last run isn't run again: it was running at two deaths, or the settings changed."""
        if job.attempts >= MAX_ATTEMPTS:
            return UserError(_CRASHED)
        settings = self.tasks[job.task]
        try:
            if not set(map(_repository, job.request.models)).issubset(map(_repository, settings.references)):
                return UserError(_GONE)
            settings.check(job.request)
        except UserError as error:
            return error
        return None

    def _cancel(self, job: Job) -> None:
        self._finish(job, JobState.CANCELLED, error=JobCancelled("Cancelled."))

    def _finish(
        self, job: Job, state: JobState, *, result: Result | None = None, error: Exception | None = None
    ) -> None:
        self.admission.release(job)
        if job.finish(state, result=result, error=error):
            self.store.save(job)

    async def _tick(self) -> None:
        """Drop jobs that waited too long, bring the expected starts up to date, and keep the estimates."""
        self._scheduler.expire()
        self._scheduler.etas.refresh()
        if self._scheduler.learned:
            self._scheduler.learned = False
            self.store.set_value(_ESTIMATES, self.estimator.seconds_per_unit)


def _repository(reference: str) -> tuple[str, str]:
    """Return what a reference names, whatever its revision: a host who pins another one takes back no job."""
    parsed = parse_reference(reference)
    return parsed.scheme, parsed.name


_GONE = "The model of this job isn't offered here any more. Send it again with another one."
_CRASHED = "The bot crashed twice while this job ran, so it won't be tried again. Try it with other options."
