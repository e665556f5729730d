"""Tell the host why jobs fail."""

from __future__ import annotations

import logging

from bot.errors import ModelUnavailable
from bot.tasks.base import Failure

log = logging.getLogger(__name__)


class InternalError(Exception):
    """Tell that a job failed by a mistake of ours; the worker's traceback is in the log."""


class FailureLog:
    """Log mistakes of ours each time, and why a model can't be had once for each reason, whoever wanted it."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def record(self, job_id: str, failure: Failure) -> Exception:
        """Log what a worker tells of a job's failure, if it is news; return the error that the job ends with."""
        if failure.error is None:
            log.error("job %s failed:\n%s", job_id, failure.traceback)
            return InternalError(f"job {job_id}")
        if isinstance(failure.error, ModelUnavailable):
            self.log_once(failure.error)
        return failure.error

    def log_once(self, error: ModelUnavailable) -> None:
        """Log why a model can't be had, if it is news."""
        hint = str(error.values.get("hint", error))
        reference, reason = error.values.get("reference", hint), error.values.get("reason", hint)
        if self._told.get(reference) != reason:
            self._told[reference] = reason
            log.warning("%s", hint)
