"""Keep the jobs whose model is being fetched from the devices, which serve others meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

from bot.engine.job import Job


class WaitingForDownload:
    """Hold jobs by their model, and show them how far its download is: `shares` of each, 0 to 1."""

    def __init__(self) -> None:
        self.shares: Mapping[str, float] = {}
        self._jobs: dict[str, Job] = {}

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def add_if_downloading(self, job: Job) -> bool:
        """Take a job if its model is being fetched; say whether it is."""
        share = self.shares.get(job.request.model)
        if share is None:
            return False
        self._jobs[job.id] = job
        job.update(loading=share)
        return True

    def remove(self, job_id: str) -> Job | None:
        """Take a job out; return None when it isn't here."""
        return self._jobs.pop(job_id, None)

    def update(self, shares: Mapping[str, float]) -> list[Job]:
        """Take the shares of the models that are being fetched now; return the jobs that wait no longer."""
        self.shares = dict(shares)
        waiting, self._jobs = self._jobs, {}
        ready = [job for job in waiting.values() if not self.add_if_downloading(job)]
        for job in ready:
            job.update(loading=None)
        return ready
