"""Define the contract between the queue and a model: request, result, pipeline and the context it runs in.

Requests and results are frozen dataclasses of plain types and bytes: they cross the wall between Discord and
inference, are stored in the database and sent to another process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from bot.errors import OutOfMemory, UserError
from bot.hub.model_filter import ANYTHING, ModelFilter

if TYPE_CHECKING:
    from bot.hub.resolve import ModelFiles
    from bot.machine.device import Device

Model = TypeVar("Model")
stop_requested: ContextVar[Callable[[], bool]] = ContextVar("stop_requested", default=lambda: False)
"""Says whether the job that is preprocessed was stopped; what takes long asks again and again."""
_AS_JSON = {"ser_json_bytes": "base64", "val_json_bytes": "base64", "ser_json_inf_nan": "constants"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Ask for one job. `model` is a model reference (`bot.hub.resolve`)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _AS_JSON

    preemptible: ClassVar[bool] = False
    """Whether a running job of this kind lets short ones run between its steps."""

    model: str

    @property
    def models(self) -> tuple[str, ...]:
        """Return the references of all models that may be used for it."""
        return (self.model,)

    @property
    def batch_key(self) -> Hashable:
        """Say what jobs may run together: those with equal keys."""
        return self.model

    @property
    def size(self) -> int:
        """Return the length of one row of this job (characters, pixels); a batch is padded to its longest."""
        return 1

    @property
    def rows(self) -> int:
        """Return how many rows of a batch this job fills."""
        return 1

    @property
    def timing_keys(self) -> tuple[str, ...]:
        """Name what the seconds per unit of `work` are averaged over, the closest description first."""
        return (self.model,)

    @property
    def work(self) -> float:
        """Return the amount of work in units that take about equal time under one of the `timing_keys`."""
        return float(self.size * self.rows)

    def without_input(self) -> Self:
        """Return the request with a placeholder for its large input, for while that is in the job store only."""
        return self

    @property
    def input_bytes(self) -> int:
        """Return how much memory what was given takes while the job waits; texts count as nothing."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Answer one job. `model` is what people see of the model: its name and revision."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _AS_JSON

    model: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Tell why one job failed: `error` is for people; without one, `traceback` is for the log."""

    error: Exception | None = None
    traceback: str = ""


Outcome = Result | Failure
Answers = Mapping[int, Result | Exception]


class Loaded(Protocol):
    """Return the model of a reference if it is in memory, else None."""

    def __call__(self, reference: str, /) -> Any:
        """Return it."""


class Context(Protocol):
    """What a pipeline may use while it runs a batch. `index` counts the batch's requests."""

    device: Device

    def load(
        self, reference: str, loader: Callable[[ModelFiles, Device], Model], model_filter: ModelFilter | None = None
    ) -> Model:
        """Return the model of `reference`, loaded by `loader` if it isn't in memory; raise ModelUnavailable.

        `model_filter` says what it may be; None: what the pipeline accepts.
        """

    def preprocessed(
        self, loader: Callable[[ModelFiles, Device], Any]
    ) -> tuple[dict[int, Any], dict[int, Result | Exception]]:
        """Return what `preprocess` made of each request, and the UserErrors of those that can't be answered.

        What wasn't made ahead of time is made now, with models loaded by `loader`.
        """

    def progress(self, index: int, step: int, steps: int) -> None:
        """Report that `step` of `steps` is done."""

    def draft(self, results: Mapping[int, Result]) -> None:
        """Hand in results that will do if something happens to what is still done about them.

        They become the answers when the worker dies before it yields others, or takes long.
        """

    def yield_to_short_jobs(self) -> float:
        """Let short jobs run that wait for this device; return the seconds that they took.

        Pipelines whose requests give way call it at every step.
        """

    def cancelled(self, index: int) -> bool:
        """Say whether somebody stopped this job. Long loops ask at every step."""


class Pipeline(ABC):
    """Run batches of one task's requests."""

    model_filter: ClassVar[ModelFilter] = ANYTHING
    """What models it can use; asked before a model's weights are fetched."""

    @abstractmethod
    def run(self, requests: Sequence[Any], context: Context) -> Iterator[Answers]:
        """Yield answers as they are done, by the index of their request.

        A request that can't be answered gets an error in its place; an error raised fails those that have no answer
        yet, and the worker then tries them one by one.
        """

    def preprocess(self, request: Any, loaded: Loaded) -> Any:  # noqa: ARG002
        """Return what `run` needs of a request besides the model: tokens, pixels; None while the model isn't loaded.

        It is called while the device works on other jobs, in another thread, and again by `run` for those that came
        too late. Raise a UserError for a request that can't be answered.
        """
        return None

    def save_memory(self, request: Any, loaded: Loaded) -> bool:  # noqa: ARG002
        """Let the model of a request, for which memory ran out, need less from now on; say whether that is possible."""
        return False

    def too_large(self, request: Any, loaded: Loaded) -> UserError:  # noqa: ARG002
        """Return what to tell who asked for something that doesn't fit into memory."""
        return OutOfMemory("There isn't enough memory for this. Try something smaller, or fewer at a time.")
