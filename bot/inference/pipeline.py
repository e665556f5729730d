"""Define the contract between the queue and a model: request, result, pipeline and the context it runs in.

Requests and results are frozen dataclasses of plain types and bytes: they cross the wall between Discord and
inference, are stored in the database and sent to another process.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

if TYPE_CHECKING:
    from bot.inference.device import Device
    from bot.inference.hub import ModelFiles

Loaded = TypeVar("Loaded")
_AS_JSON = {"ser_json_bytes": "base64", "val_json_bytes": "base64", "ser_json_inf_nan": "constants"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Ask for one job. `model` is a model reference (`bot.inference.hub`)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _AS_JSON

    model: str

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
    def cost_key(self) -> str:
        """Name what the seconds per unit of `work` are averaged over."""
        return self.model

    @property
    def work(self) -> float:
        """Return the amount of work in units that take about equal time under one `cost_key`."""
        return float(self.size * self.rows)


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


class Context(Protocol):
    """What a pipeline may use while it runs a batch. `index` counts the batch's requests."""

    device: Device

    def load(self, reference: str, loader: Callable[[ModelFiles, Device], Loaded]) -> Loaded:
        """Return the model of `reference`, loaded by `loader` if it isn't in memory; raise ModelUnavailable."""

    def progress(self, index: int, step: int, steps: int) -> None:
        """Report that `step` of `steps` is done."""

    def cancelled(self, index: int) -> bool:
        """Say whether somebody stopped this job. Long loops ask at every step."""


class Pipeline(Protocol):
    """Run batches of one task's requests."""

    def run(self, requests: Sequence[Any], context: Context) -> Sequence[Result | Exception]:
        """Return an answer for each request, in order.

        A request that can't be answered gets an error in its place; an error raised fails them all, and the
        worker then tries them one by one.
        """
