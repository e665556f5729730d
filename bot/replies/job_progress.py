"""Say how far a job is, in its own message."""

from __future__ import annotations

import discord

from bot.engine.job import Job, JobState
from bot.i18n.texts import gettext as _
from bot.replies.job_status import SOON_S, relative, starts_at
from bot.ui.markdown import steps_bar

_SAME_START_S = 15


class ProgressText:
    """Write one job's progress.

    A start time stays while the forecast moves by no more than a little, as long as it isn't past: Discord counts down
    by itself.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._starts_at = 0

    def text(self) -> str:
        """Return what people see now."""
        status = self._job.status
        if status.loading is not None:
            return (
                _("Loading the model…")
                if not status.loading
                else _("Fetching the model, {share}", share=f"{status.loading:.0%}")
            )
        if status.state is JobState.QUEUED:
            return self._waiting()
        if status.steps:
            shown = steps_bar(status.step, status.steps)
            return _("{bar} step {step} of {steps}", bar=shown, step=status.step, steps=status.steps)
        return _("Running…")

    def _waiting(self) -> str:
        status = self._job.status
        if status.ahead is None:
            return _("Waiting…")
        place = _("{ahead} ahead", ahead=status.ahead) if status.ahead else _("Next in line")
        if status.starts_in_s is None:
            return f"{place}."
        if status.starts_in_s < SOON_S:
            return _("{place}, starts soon.", place=place)
        return _("{place}, starts {when}.", place=place, when=relative(self._start(status.starts_in_s)))

    def _start(self, starts_in_s: float) -> int:
        """Return the start to show: the one shown before, unless it is past or the forecast is another now."""
        now, start = discord.utils.utcnow().timestamp(), starts_at(starts_in_s)
        if self._starts_at <= now or abs(start - self._starts_at) > _SAME_START_S:
            self._starts_at = start
        return self._starts_at
