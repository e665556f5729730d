"""Define /detect: its request, result and settings."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from bot.errors import BadInput
from bot.tasks.base import Result
from bot.tasks.detect.draw_boxes import Box
from bot.tasks.picture import PictureRequest, PictureSettings
from bot.tasks.settings import AnyReferences
from bot.tasks.task import Task

MAX_CONFIDENCE = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectRequest(PictureRequest):
    """Ask for the things in a picture that the model is sure of by at least `confidence` per cent."""

    confidence: int

    def __post_init__(self) -> None:
        PictureRequest.__post_init__(self)
        if not 1 <= self.confidence <= MAX_CONFIDENCE:
            raise BadInput("The confidence is a number from 1 to {most}.", most=MAX_CONFIDENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectResult(Result):
    """Tell what was found, the surest first.

    `found` counts the boxes that were left out too. `width` and `height` are the picture's, in pixels; `drawn` is a
    JPEG file of it with the boxes, empty when there are none.
    """

    boxes: tuple[Box, ...]
    found: int
    width: int
    height: int
    drawn: bytes = b""


class DetectSettings(PictureSettings):
    """Set up /detect: the `confidence` (per cent) when none is asked for, and the most boxes in a picture."""

    models: AnyReferences = ()
    max_rows: int = Field(default=8, ge=1, le=1024)
    confidence: int = Field(default=50, ge=1, le=MAX_CONFIDENCE)
    max_boxes: int = Field(default=50, ge=1, le=300)


DETECT = Task(
    "detect",
    DetectRequest,
    DetectResult,
    DetectSettings,
    pipeline="pipeline:DetectPipeline",
    view="view:detect_answer",
    console="console:detect",
    order=5,
)
