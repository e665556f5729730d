"""Define what the bot process and a worker process say to each other. Frozen values, pickled over a pipe.

Each message wakes the other process, which takes time from computing: so the bot sends lists of messages, and what the
worker says of a batch comes as a pair of the batch's number and a tuple of the events below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    """Ask the worker to get a job ready that will run soon, while its device works on others."""

    task: str
    item: BatchItem


@dataclass(frozen=True, slots=True)
class Run:
    """Ask the worker to run a batch. One may come while another runs that gives way."""

    number: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the worker to stop a job at its next step."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Tell the worker that a job it prepared won't run on it."""

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
