"""Read jobs back from their rows."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from bot.engine.job import Job, JobState, JobStatus, Requester
from bot.errors import JobCancelled, UserError
from bot.store import codec
from bot.tasks.base import Request
from bot.tasks.registry import TASKS

log = logging.getLogger(__name__)
_UNREADABLE = "The bot was updated meanwhile and can't read this job any more. Send it again."
_MISTAKES = (KeyError, ValueError, TypeError, UserError)


def read_job(row: Mapping[Any, Any]) -> Job | None:
    """Return the job of a row.

    What this version can't read of it makes it a failed job, so that its asker is told; one without a readable
    address is left out. Both stand in the log.
    """
    try:
        job = _frame(row)
    except _MISTAKES:
        log.exception("job %s in the store can't be read", row["id"])
        return None
    try:
        _fill(job, row)
    except _MISTAKES:
        log.exception("job %s in the store can't be read: its asker is told", job.id)
        job.finish(JobState.FAILED, error=UserError(_UNREADABLE))
    return job


def _frame(row: Mapping[Any, Any]) -> Job:
    """Return the job without its request and outcome."""
    return Job(
        id=row["id"],
        task=row["task"],
        request=Request(model=""),
        requester=Requester(**json.loads(row["requester"])),
        reply_to=None if row["reply_to"] is None else json.loads(row["reply_to"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        attempts=row["attempts"],
    )


def _fill(job: Job, row: Mapping[Any, Any]) -> None:
    """Read request and outcome into a job."""
    task = TASKS[job.task]
    state = JobState(row["state"])
    job.request = codec.load_request(task.request, row["request"])
    result = None if row["result"] is None else codec.load_result(task.result, row["result"])
    error = None if row["error"] is None else codec.load_error(row["error"])
    if state is JobState.CANCELLED and error is None:  # the bot ended before the job heard of it
        error = JobCancelled("Cancelled.")
    if state.final:
        job.finish(state, result=result, error=error)
    else:
        job.status = JobStatus(state=state)
