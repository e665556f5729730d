"""Translate texts, by one model or by two through English."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from bot.errors import BadInput, JobCancelled
from bot.hub.model_filter import ModelFilter
from bot.hub.reference import ModelReference, parse_reference
from bot.hub.resolve import ModelFiles
from bot.machine.device import Device
from bot.tasks.base import Answers, Context, Loaded, Pipeline, Request, Result
from bot.tasks.settings import TaskSettings
from bot.tasks.translate.hops import Plan
from bot.tasks.translate.language_control import Steering
from bot.tasks.translate.languages import read_language, read_varieties
from bot.tasks.translate.model_families import KINDS
from bot.tasks.translate.routes import ANY, Hop, Pair, Route, choose_route, find_routes, no_route
from bot.tasks.translate.translator import Translator

log = logging.getLogger(__name__)
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


class TranslatePipeline(Pipeline):
    """Translate batches of texts into one language."""

    model_filter = ModelFilter(
        "translation models of text (MarianMTModel, FSMTForConditionalGeneration, M2M100ForConditionalGeneration, …)",
        KINDS.__contains__,
        pipeline_tag="translation",
    )

    def __init__(self, settings: TranslateSettings) -> None:
        self._settings = settings

    def preprocess(self, request: TranslateRequest, loaded: Loaded) -> Plan | None:
        """Return the sentences of a text; raise BadInput for one in a language without a model."""
        routes = request.routes
        if request.detect and routes[0].source == ANY:
            asked: Translator | None = loaded(request.model)
            if asked is None:
                return None
            routes = tuple(Route(code, request.model) for code in asked.sources) or routes
        route = choose_route(routes, request.text, request.to) if request.detect else routes[0]
        translator: Translator | None = loaded(route.model)
        return None if translator is None else Plan.of(request.text, route.hops(request.to), translator)

    def run(self, requests: Sequence[TranslateRequest], context: Context) -> Iterator[Answers]:
        """Yield a TranslateResult for each request, or BadInput for a text in a language without a model."""
        plans, errors = context.preprocessed(self._load)
        yield errors
        while plans:
            drafts: dict[int, tuple[Plan, str]] = {}
            for hop in dict.fromkeys(plan.hop for plan in plans.values()):
                chosen = {index: plan for index, plan in plans.items() if plan.hop == hop}
                yield from self._hop(requests, hop, chosen, drafts, context)
            plans, errors = self._onward(drafts, context)
            yield errors

    def _hop(
        self,
        requests: Sequence[TranslateRequest],
        hop: Hop,
        plans: Mapping[int, Plan],
        drafts: dict[int, tuple[Plan, str]],
        context: Context,
    ) -> Iterator[Answers]:
        """Take one hop with all texts. Yield those that have arrived; the others are added to `drafts`."""
        translator = context.load(hop.model, self._load)
        texts = {index: plan.sentences for index, plan in plans.items()}
        for done in translator.translate(texts, self._settings.max_padded, context.cancelled):
            answers: dict[int, Result | Exception] = {}
            for index, text in done.items():
                plan = plans[index].after(translator.shown)
                if isinstance(text, JobCancelled):
                    answers[index] = text
                elif plan.arrived:
                    answers[index] = _result(requests[index], plan, text)
                else:
                    drafts[index] = plan, text
            yield answers

    def _onward(
        self, drafts: Mapping[int, tuple[Plan, str]], context: Context
    ) -> tuple[dict[int, Plan], dict[int, Result | Exception]]:
        """Return what is to be translated on, and the errors of texts whose next model doesn't know the language."""
        models = dict.fromkeys(plan.hop.model for plan, _ in drafts.values())
        translators: dict[str, Translator] = {model: context.load(model, self._load) for model in models}
        plans: dict[int, Plan] = {}
        errors: dict[int, Result | Exception] = {}
        for index, (plan, text) in drafts.items():
            try:
                plans[index] = plan.with_text(text, translators[plan.hop.model])
            except BadInput as error:
                errors[index] = error
        return plans, errors

    def _load(self, files: ModelFiles, device: Device) -> Translator:
        """Load a model, and tell the host about languages that it was configured for and doesn't know."""
        translator = Translator(files, device, self._settings.prefixes(files.reference))
        if wrong := self._settings.unknown_ways(files.reference, translator.steering):
            log.warning("%s %s: take it out of [[translate.pairs]]", files.reference.text, wrong)
        return translator


def _result(request: TranslateRequest, plan: Plan, text: str) -> TranslateResult:
    """Return what came out of a plan's last hop."""
    return TranslateResult(
        model=" → ".join(plan.models),
        text=text,
        source=plan.hops[0].source,
        to=plan.hops[-1].to,
        detected=request.detect,
        through=plan.hops[0].to if len(plan.hops) > 1 else None,
    )
