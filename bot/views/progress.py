"""Say how far a job is."""

from __future__ import annotations

import discord

from bot.jobs.job import Job, JobState
from bot.texts import translate as _
from bot.views.text import steps_bar

_SAME_START_S = 15


class ProgressText:
    """Write one job's progress. A start time is only changed when the forecast moved by more than a little."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._starts_at = 0

    def text(self) -> str:
        """Return what people see now."""
        status = self._job.status
        if status.state is JobState.QUEUED:
            return self._waiting()
        if status.loading is not None:
            return (
                _("Loading the model…")
                if not status.loading
                else _("Fetching the model, {share}", share=f"{status.loading:.0%}")
            )
        if status.steps:
            shown = steps_bar(status.step, status.steps)
            return _("{bar} step {step} of {steps}", bar=shown, step=status.step, steps=status.steps)
        return _("Running…")

    def _waiting(self) -> str:
        status = self._job.status
        if status.ahead is None or status.starts_in_s is None:
            return _("Waiting…")
        starts_at = round(discord.utils.utcnow().timestamp() + status.starts_in_s)
        if abs(starts_at - self._starts_at) > _SAME_START_S:
            self._starts_at = starts_at
        when = f"<t:{self._starts_at}:R>"
        if not status.ahead:
            return _("Next in line, starts {when}.", when=when)
        return _("{ahead} ahead, starts {when}.", ahead=status.ahead, when=when)
