"""Say in a few words how far a job is, for lists of jobs."""

from __future__ import annotations

import discord

from bot.engine.job import Job, JobState, JobStatus
from bot.i18n.texts import gettext as _

SOON_S = 5.0
"""A start nearer than this is called soon: Discord would show a moment later that it has passed."""


def status_text(status: JobStatus) -> str:
    """Return how far a job is, in words that fit anywhere."""
    if status.state is not JobState.QUEUED:
        return _running(status)
    if status.ahead is None:
        return _("waiting")
    return _("{ahead} ahead", ahead=status.ahead) if status.ahead else _("next")


def standing_with_start(status: JobStatus) -> str:
    """Return how far a job is and when it should start, in words that need Discord's formatting."""
    words = status_text(status)
    if status.state is not JobState.QUEUED or status.starts_in_s is None:
        return words
    if status.starts_in_s < SOON_S:
        return _("{place}, starts soon", place=words)
    return _("{place}, starts {when}", place=words, when=relative(starts_at(status.starts_in_s)))


def starts_at(starts_in_s: float) -> int:
    """Return when something starts, in seconds since the epoch."""
    return round(discord.utils.utcnow().timestamp() + starts_in_s)


def relative(moment: int) -> str:
    """Return a moment as Discord counts down to it."""
    return f"<t:{moment}:R>"


def queue_order(job: Job) -> tuple[bool, float]:
    """Return what sorts jobs: those that run first, then those that wait as their turn comes."""
    ahead = job.status.ahead
    return job.state is JobState.QUEUED, float("inf") if ahead is None else ahead


def _running(status: JobStatus) -> str:
    if status.loading is not None:
        return _("loading the model")
    if status.steps:
        return _("running, step {step} of {steps}", step=status.step, steps=status.steps)
    return _("running")
