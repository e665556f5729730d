"""Define the messages between the bot process and a worker process: frozen values, pickled over a pipe.

To the worker go lists of RunBatch, Prefetch, Forget, Cancel and Stop. From the worker come Ready, Unloaded, and pairs
of a batch's number and a tuple of its events. Several messages go together, since receiving one takes time from
computing.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.errors import UserError
from bot.tasks.base import Outcome, Request, Result


@dataclass(frozen=True, slots=True)
class BatchItem:
    """Name one job of a batch to the worker. The request is left out when it was sent before, by `Prefetch`."""

    job_id: str
    request: Request | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Hold compatible jobs of one task that run together."""

    task: str
    items: tuple[BatchItem, ...]


@dataclass(frozen=True, slots=True)
class Prefetch:
    """Ask the worker to preprocess a job that will run soon, while its device works on others."""

    task: str
    item: BatchItem


@dataclass(frozen=True, slots=True)
class RunBatch:
    """Ask the worker to run a batch. It runs at once when the batch that runs already is preemptible."""

    number: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the worker to stop a job at its next step."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Tell the worker that a job of a `Prefetch` won't run on it."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask the worker to end when it has nothing to do."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Tell that the worker's device is open, and what its models may take together."""

    pid: int
    budget_bytes: int


@dataclass(frozen=True, slots=True)
class Unloaded:
    """Tell that idle models were unloaded, and the bytes of each that is still in memory."""

    loaded: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Loading:
    """Tell that a model is being made ready; `share` is how much of it was fetched, when that is known."""

    model: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """Tell that the models are ready and the batch runs."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Tell that `step` of `steps` of a job is done."""

    job_id: str
    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class Drafted:
    """Tell a result that will do if the job's outcome doesn't come, or not soon. `seconds` as in `Answered`."""

    job_id: str
    result: Result
    seconds: float


@dataclass(frozen=True, slots=True)
class Answered:
    """Tell a job's outcome, as soon as it is known. `seconds` is its share of what the device computed."""

    job_id: str
    outcome: Outcome
    seconds: float


@dataclass(frozen=True, slots=True)
class BatchReport:
    """Tell that a batch has ended, and every job of it was answered.

    `seconds` is what the device computed for it, without loading; `loaded` the bytes of each model in memory;
    `loading_s` the seconds that each model took that was loaded for this batch.
    """

    seconds: float
    loaded: Mapping[str, int] = field(default_factory=dict)
    loading_s: Mapping[str, float] = field(default_factory=dict)


Event = Started | Loading | Progress | Drafted | Answered


def portable(error: UserError) -> UserError:
    """Return an error that every process can read: of a class of `bot.errors`, with values of plain types."""
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ == UserError.__module__)
    if type(error) is kind and all(type(value) in _PLAIN for value in error.values.values()):
        return error
    plain = copy.copy(error)
    plain.__class__ = kind
    plain.values = {name: _plain(value) for name, value in error.values.items()}
    return plain


_PLAIN = (str, int, float, bool, type(None))


def _plain(value: Any) -> str | int | float | None:
    if type(value) in _PLAIN:
        return value  # type: ignore[no-any-return]
    return next((kind(value) for kind in (int, float) if isinstance(value, kind)), str(value))
