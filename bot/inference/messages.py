"""Define what the bot process and a worker process say to each other. Frozen values, pickled over a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.inference.pipeline import Outcome, Request


@dataclass(frozen=True, slots=True)
class BatchItem:
    """Name one job of a batch to the worker."""

    job_id: str
    request: Request


@dataclass(frozen=True, slots=True)
class Batch:
    """Hold compatible jobs of one task that run together."""

    task: str
    items: tuple[BatchItem, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Ask the worker to run a batch."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the worker to stop a job at its next step."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask the worker to end when it has nothing to do."""


@dataclass(frozen=True, slots=True)
class Hello:
    """Tell that the worker's device is open."""

    pid: int


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
class BatchReport:
    """Return a batch's outcomes in order.

    `seconds` is what the device computed, without loading; `warm` the references now in memory.
    """

    outcomes: Sequence[Outcome]
    seconds: float
    warm: frozenset[str]


Event = Started | Loading | Progress
