"""Define /describe: its request, result and settings."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from bot.tasks.base import Result
from bot.tasks.picture import PictureRequest, PictureSettings
from bot.tasks.settings import AnyReferences
from bot.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeRequest(PictureRequest):
    """Ask for a sentence about a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeResult(Result):
    """Tell what a picture shows: `text`. `thumbnail` is a small PNG file of it."""

    text: str
    thumbnail: bytes = b""


class DescribeSettings(PictureSettings):
    """Set up /describe: at most `max_tokens` of text; `prompt` is what models are asked that can chat."""

    models: AnyReferences = ()
    max_rows: int = Field(default=8, ge=1, le=1024)
    max_tokens: int = Field(default=100, ge=1, le=400)
    prompt: str = Field(default="Describe this picture in one or two sentences.", min_length=1)


DESCRIBE = Task(
    "describe",
    DescribeRequest,
    DescribeResult,
    DescribeSettings,
    pipeline="pipeline:DescribePipeline",
    view="view:describe_answer",
    console="console:describe",
    order=6,
)
