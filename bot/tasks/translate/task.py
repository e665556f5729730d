"""Define /translate: its request, result and settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from bot.errors import BadInput
from bot.hub.reference import ModelReference, parse_reference
from bot.tasks.base import Request, Result
from bot.tasks.settings import TaskSettings
from bot.tasks.task import Task
from bot.tasks.translate.language_control import Steering
from bot.tasks.translate.languages import read_language, read_varieties
from bot.tasks.translate.routes import ANY, Pair, Route, find_routes, no_route

MAX_CHARS = 6_000


_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslateRequest(Request):
    """Ask for `text` in the language `to`. `routes` are the models that lead there; one alone fixes the source.

    `detect` says that the source language isn't known yet.
    """

    text: str
    to: str
    routes: tuple[Route, ...]
    detect: bool = True

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise BadInput("There is no text. Give some words to translate.")
        if len(self.text) > MAX_CHARS:
            raise BadInput("This text is too long. Translate at most {most} characters at a time.", most=MAX_CHARS)

    @property
    def models(self) -> tuple[str, ...]:
        """Return the models of all routes."""
        return tuple(model for route in self.routes for model in (route.model, route.then) if model is not None)

    @property
    def batch_key(self) -> tuple[Any, ...]:
        """Say that texts for one language by the same models may run together."""
        return (self.to, self.routes)

    @property
    def size(self) -> int:
        """Return the characters of the text."""
        return len(self.text)

    @property
    def timing_keys(self) -> tuple[str, ...]:
        """Name the models of the first route: which one a text takes is known only when its language is."""
        then = self.routes[0].then
        return (f"{self.model} then {then}" if then else self.model,)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslateResult(Result):
    """Tell the translated `text`, its language `to` and the language `source` it was in; `detected`: by us.

    `through` is the language that it went through; then `model` names both models.
    """

    text: str
    source: str
    to: str
    detected: bool
    through: str | None = None


class TranslateSettings(TaskSettings):
    """Set up /translate: its pairs of languages. Sentences of `max_padded` tokens go through the model together."""

    pairs: tuple[Pair, ...] = Field(
        default=(
            Pair.model_validate({"from": "en", "to": "pt", "model": "bundled:bergamot-en-pt"}),
            Pair.model_validate({"from": "pt", "to": "en", "model": "bundled:bergamot-pt-en"}),
        ),
        min_length=1,
    )
    max_padded: int = Field(default=2_048, ge=1)

    @property
    def references(self) -> tuple[str, ...]:
        """Return every model reference that may be asked for."""
        return tuple(dict.fromkeys(pair.model for pair in self.pairs))

    @property
    def default_references(self) -> tuple[str, ...]:
        """Return the models of all pairs: each is the only one for its languages."""
        return self.references

    def targets(self, source: str | None = None) -> tuple[str, ...]:
        """Return the codes of the languages that can be translated into, from `source` or from any."""
        codes = dict.fromkeys(code for pair in self.pairs for code in pair.targets)
        return tuple(code for code in codes if find_routes(self.pairs, source, code))

    def sources(self, to: str | None = None) -> tuple[str, ...]:
        """Return the codes of the languages that can be translated from, into `to` or into any."""
        targets = self.targets() if to is None else (to,)
        return tuple(dict.fromkeys(route.source for code in targets for route in find_routes(self.pairs, None, code)))

    def request(
        self, text: str, *, to: str, source: str | None = None, model: str | None = None, locale: str = "en"
    ) -> TranslateRequest:
        """Build a request; raise BadInput when no models lead from `source` to `to`, which may be names in `locale`."""
        known = self._pairs_of(model)
        target = read_language(to, locale, _codes(pair.targets for pair in known))
        origin = read_language(source, locale, _codes(pair.sources for pair in known)) if source else None
        routes = find_routes(known, origin, target)
        if not routes:
            raise no_route(known, origin, target)
        return TranslateRequest(model=routes[0].model, text=text, to=target, routes=routes, detect=origin is None)

    def request_of_model(self, text: str, *, to: str, source: str | None, model: str) -> TranslateRequest:
        """Build a request for any model at all, which the host names; raise BadInput."""
        parse_reference(model)
        route = Route(read_varieties(source)[0] if source else ANY, model)
        return TranslateRequest(
            model=model, text=text, to=read_varieties(to)[0], routes=(route,), detect=source is None
        )

    def prefixes(self, reference: ModelReference) -> dict[tuple[str, str], str]:
        """Return what a model reads before a text, by (source, target), where the host says so."""
        pairs = [pair for pair in self._using(reference) if pair.prefix]
        return {way: pair.prefix for pair in reversed(pairs) for way in pair.ways}

    def unknown_ways(self, reference: ModelReference, steering: Steering) -> str:
        """Say from which languages into which a model can't translate that is configured for it; nothing if it can."""
        ways = [way for pair in self._using(reference) for way in pair.ways]
        wrong = [f"{source} to {to}" for source, to in ways if steering.way(source, to) is None]
        shown = ", ".join(wrong[:_MOST_NAMED]) + (", …" if len(wrong) > _MOST_NAMED else "")
        return f"can't translate from {shown}" if wrong else ""

    def _using(self, reference: ModelReference) -> list[Pair]:
        return [pair for pair in self.pairs if parse_reference(pair.model) == reference]

    def _pairs_of(self, model: str | None) -> list[Pair]:
        names = [(pair.model, parse_reference(pair.model).short_name) for pair in self.pairs]
        pairs = [pair for pair, known in zip(self.pairs, names, strict=True) if model is None or model in known]
        if not pairs and model is not None:
            shown = ", ".join(dict.fromkeys(short for _, short in names))
            raise BadInput("There is no model “{name}” here. Choose one of: {known}.", name=model[:100], known=shown)
        return pairs


def _codes(listed: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for codes in listed for code in codes))


TRANSLATE = Task(
    "translate",
    TranslateRequest,
    TranslateResult,
    TranslateSettings,
    pipeline="pipeline:TranslatePipeline",
    view="view:translate_answer",
    console="console:translate",
    order=4,
)
