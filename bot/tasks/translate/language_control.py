"""Say what makes a model translate from one language into another, for each way in which models are told it.

Models of one pair need nothing. Of the others some read the language to translate into before the text (OPUS-MT,
MADLAD, T5), some write it first (M2M100, NLLB, mBART).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Way:
    """Hold what a model is given besides a text.

    `prefix` is put before the text, `around` are the numbers of the tokens before and after it, where those that the
    tokenizer adds by itself won't do; `options` are for `generate`.
    """

    prefix: str = ""
    around: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def forced(self) -> int:
        """Return how many tokens the output starts with that are no translation: the start, and the language."""
        return 1 + ("forced_bos_token_id" in self.options)


class Steering(Protocol):
    """Know the languages of one model."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the languages that it translates from; none when it doesn't tell."""

    @property
    def example(self) -> Way:
        """Return a way that the model knows, or for one that knows none, what does no harm."""

    def way(self, source: str, to: str) -> Way | None:
        """Return what makes the model translate so; None when it doesn't know one of the languages."""


@dataclass(frozen=True, slots=True)
class OnePair:
    """Steer a model of one pair. A language that isn't known (None) is what the host says."""

    source: str | None = None
    to: str | None = None
    example: Way = Way()

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the language that is known."""
        return (self.source,) if self.source else ()

    def way(self, source: str, to: str) -> Way | None:
        """Return the only way."""
        return self.example if self.source in (None, source) and self.to in (None, to) else None


@dataclass(frozen=True, slots=True)
class TargetPrefix:
    """Steer a model that reads the language first. `prefixes` are by language; `source` None is any."""

    prefixes: Mapping[str, str]
    source: str | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the language that is known."""
        return (self.source,) if self.source else ()

    @property
    def example(self) -> Way:
        """Return the way into the first language."""
        return Way(prefix=next(iter(self.prefixes.values()), ""))

    def way(self, source: str, to: str) -> Way | None:
        """Return the way with the language's token."""
        known = to in self.prefixes and self.source in (None, source)
        return Way(prefix=self.prefixes[to]) if known else None


@dataclass(frozen=True, slots=True)
class LanguageTokens:
    """Steer a model that reads a token of the language `read`, and writes one of those it `wrote` first.

    `before` and `after` are the numbers around a text; None stands for the language's. `option` forces what is written.
    """

    read: Mapping[str, int]
    wrote: Mapping[str, int]
    before: tuple[int | None, ...]
    after: tuple[int | None, ...]
    option: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the languages that are read."""
        return tuple(self.read)

    @property
    def example(self) -> Way:
        """Return the way between the first two languages."""
        ways = (self.way(source, to) for source in self.read for to in self.wrote)
        return next((way for way in ways if way is not None), Way())

    def way(self, source: str, to: str) -> Way | None:
        """Return the way with both tokens."""
        if source not in self.read or to not in self.wrote:
            return None
        before, after = (
            tuple(self.read[source] if number is None else number for number in part)
            for part in (self.before, self.after)
        )
        return Way(around=(before, after), options={self.option: self.wrote[to]})


@dataclass(frozen=True, slots=True)
class Tasks:
    """Steer a model by sentences like "translate English to German: ", by (source, target)."""

    ways: Mapping[tuple[str, str], Way]

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the languages of the tasks."""
        return tuple(dict.fromkeys(source for source, _ in self.ways))

    @property
    def example(self) -> Way:
        """Return the first way."""
        return next(iter(self.ways.values()), Way())

    def way(self, source: str, to: str) -> Way | None:
        """Return the way of the task."""
        return self.ways.get((source, to))
