"""Show in a job's message how far it is, as long as it waits or runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from bot.engine.job import Job, JobState, JobStatus
from bot.replies.delivery import EDIT_EVERY_S, Delivery
from bot.replies.job_progress import ProgressText

_FIRST_LOOK_S = 0.1
_LONG_WAIT_S = 2.0


async def show_progress(job: Job, posting: Delivery, wanted: Callable[[], bool]) -> bool:
    """Follow a job to its end; return False when it isn't wanted any more or its message was deleted before."""
    return await _brief(job) or await _edit_on_change(job, posting, wanted)


async def _brief(job: Job) -> bool:
    """Wait a moment, so that quick jobs show no progress; say whether the job has ended by then."""
    if _waits_long(job.status):
        return False
    if await _ended_within(job, _FIRST_LOOK_S):
        return True
    return not _waits_long(job.status) and await _ended_within(job, EDIT_EVERY_S - _FIRST_LOOK_S)


async def _edit_on_change(job: Job, posting: Delivery, wanted: Callable[[], bool]) -> bool:
    """Edit the message when its text changes, at most as often as the posting allows."""
    progress, shown = ProgressText(job), ""
    async for _status in job.follow():
        text = progress.text()
        if job.state.final or text == shown:
            continue
        if not (wanted() and await posting.progress(text)):
            return False
        shown = text
        await _ended_within(job, posting.edit_every_s)
    return True


def _waits_long(status: JobStatus) -> bool:
    """Say whether it is worth telling at once where a job stands: others are ahead, and not for a moment only."""
    if status.state is not JobState.QUEUED:
        return False
    return bool(status.ahead) if status.starts_in_s is None else status.starts_in_s > _LONG_WAIT_S


async def _ended_within(job: Job, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await job.finished.wait()
    return job.state.final
