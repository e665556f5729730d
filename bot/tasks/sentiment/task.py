"""Define /sentiment: its request, result and settings."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from bot.errors import BadInput
from bot.tasks.base import Request, Result
from bot.tasks.settings import ModelSettings, References
from bot.tasks.task import Task

MAX_CHARS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SentimentRequest(Request):
    """Ask for the sentiment of `text`."""

    text: str

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise BadInput("There is no text. Give some words to look at.")

    @property
    def size(self) -> int:
        """Return the characters that will be read."""
        return min(len(self.text), MAX_CHARS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentimentResult(Result):
    """Tell the best `label`, its probability `score` and all labels' `scores`, best first.

    `truncated` says that the text was longer than the model reads.
    """

    label: str
    score: float
    scores: dict[str, float]
    truncated: bool = False


class SentimentSettings(ModelSettings):
    """Set up /sentiment. A forward pass has at most `max_padded` tokens, padding included."""

    models: References = ("bundled:minilm-sentiment",)
    max_rows: int = Field(default=64, ge=1, le=1024)
    max_padded: int = Field(default=16_384, ge=1)


SENTIMENT = Task(
    "sentiment",
    SentimentRequest,
    SentimentResult,
    SentimentSettings,
    pipeline="pipeline:SentimentPipeline",
    view="view:sentiment_answer",
    console="console:sentiment",
    order=1,
)
