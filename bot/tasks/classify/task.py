"""Define /classify: its request, result and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.errors import BadInput, join_names
from bot.hub.reference import parse_reference
from bot.tasks.base import Result
from bot.tasks.picture import PictureRequest, PictureSettings
from bot.tasks.settings import AnyReferences, References
from bot.tasks.task import Task

MAX_TOP = 20


MAX_LABELS, MAX_LABEL_CHARS = 25, 100


_NO_LABELS = "This model needs labels to choose from. Give some, with commas between them."


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyRequest(PictureRequest):
    """Ask for the `top` best labels of a picture: of the model's own, or of these `labels`."""

    top: int = 5
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        PictureRequest.__post_init__(self)
        if not 1 <= self.top <= MAX_TOP:
            raise BadInput("Ask for 1 to {most} labels.", most=MAX_TOP)
        _check_labels(self.labels)

    @property
    def batch_key(self) -> tuple[Any, ...]:
        """Say that pictures for one model and the same labels may run together."""
        return (self.model, self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Name one label and its probability."""

    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyResult(Result):
    """Tell the best labels, best first.

    `width` and `height` are the picture's, in pixels; `thumbnail` is a small PNG file of it.
    """

    labels: tuple[Label, ...]
    width: int
    height: int
    thumbnail: bytes = b""


class ClassifySettings(PictureSettings):
    """Set up /classify: `models` have labels of their own, those for `zero_shot` take people's."""

    models: References = ("bundled:efficientnet-lite0",)
    zero_shot: AnyReferences = ()

    @property
    def references(self) -> tuple[str, ...]:
        """Return every model reference that may be asked for, the default first."""
        return (*self.models, *self.zero_shot)

    def choose_for(self, labels: tuple[str, ...], name: str | None) -> str:
        """Return the reference that a person means by `name`, or the default one for labels. Raise BadInput."""
        if labels and not self.zero_shot:
            raise BadInput("No model here takes labels of your own. Leave them out.")
        reference = self.zero_shot[0] if labels and name is None else self.choose(name)
        known = join_names(parse_reference(r).short_name for r in self.zero_shot)
        if labels and reference not in self.zero_shot:
            raise BadInput("This model has labels of its own. Choose one of these for yours: {known}.", known=known)
        if not labels and reference not in self.models:
            raise BadInput(_NO_LABELS)
        return reference


def read_labels(text: str) -> tuple[str, ...]:
    """Return the labels of a list with commas between them, each once; raise BadInput."""
    labels: dict[str, str] = {}
    for label in (" ".join(part.split()) for part in text.split(",")):
        if label:
            labels.setdefault(label.casefold(), label)
    _check_labels(tuple(labels.values()))
    return tuple(labels.values())


def _check_labels(labels: Sequence[str]) -> None:
    if labels and not 2 <= len(labels) <= MAX_LABELS:
        raise BadInput("Give 2 to {most} labels, with commas between them.", most=MAX_LABELS)
    if any(len(label) > MAX_LABEL_CHARS for label in labels):
        raise BadInput("A label has at most {most} characters.", most=MAX_LABEL_CHARS)


CLASSIFY = Task(
    "classify",
    ClassifyRequest,
    ClassifyResult,
    ClassifySettings,
    pipeline="pipeline:ClassifyPipeline",
    view="view:classify_answer",
    console="console:classify",
    order=2,
)
