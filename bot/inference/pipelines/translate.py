"""Translate texts with sequence-to-sequence models, one for each pair of languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from bot.errors import BadInput, JobCancelled
from bot.inference.accepts import Accepts
from bot.inference.class_names import mapped_classes
from bot.inference.device import Device
from bot.inference.examples import SENTENCES
from bot.inference.grouping import group_by_length
from bot.inference.hub import ModelFiles
from bot.inference.languages import Detected, detect_language, language_code, language_name
from bot.inference.pipeline import Answers, Context, Loaded, Pipeline, Request, Result
from bot.inference.precision import Probe, fit
from bot.inference.reference import parse_reference
from bot.inference.sentences import Piece, split_text
from bot.inference.settings import Frozen, Reference, TaskSettings

MAX_CHARS = 6_000


_TRANSLATORS = "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES"


def _is_translator(architecture: str) -> bool:
    return architecture in mapped_classes("transformers", "models/auto/modeling_auto.py", _TRANSLATORS)


_ACCEPTS = Accepts(
    "sequence-to-sequence models of text (MarianMTModel, FSMTForConditionalGeneration, …)",
    _is_translator,
    tag="translation",
)
_LONGEST_TOKENS = 512
_PROBE_SENTENCES, _PROBE_TOKENS = 6, 8


ANY = ""
"""The source of a route whose model's language isn't known."""


@dataclass(frozen=True, slots=True)
class Route:
    """Say that `model` translates from the language `source`, or from ANY."""

    source: str
    model: str


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
    def batch_key(self) -> tuple[Any, ...]:
        """Say that texts for one language by the same models may run together."""
        return (self.to, self.routes)

    @property
    def size(self) -> int:
        """Return the characters of the text."""
        return len(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslateResult(Result):
    """Tell the translated `text`, its language `to` and the language `source` it was in; `detected`: by us."""

    text: str
    source: str
    to: str
    detected: bool


class Pair(Frozen):
    """Name the model that translates `from` one language `to` another."""

    source: str = Field(alias="from", pattern="^[a-z]{2,3}$")
    to: str = Field(pattern="^[a-z]{2,3}$")
    model: Reference


class TranslateSettings(TaskSettings):
    """Set up /translate: its pairs of languages. Sentences of `max_padded` tokens go through the model together."""

    pairs: tuple[Pair, ...] = Field(
        default=(
            Pair(**{"from": "en", "to": "pt", "model": "bundled:bergamot-en-pt"}),
            Pair(**{"from": "pt", "to": "en", "model": "bundled:bergamot-pt-en"}),
        ),
        min_length=1,
    )
    max_padded: int = Field(default=2_048, ge=1)

    @property
    def references(self) -> tuple[str, ...]:
        """Return every model reference that may be asked for."""
        return tuple(dict.fromkeys(pair.model for pair in self.pairs))

    @property
    def defaults(self) -> tuple[str, ...]:
        """Return the models of all pairs: each is the only one for its languages."""
        return self.references

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the codes of the languages that can be translated into."""
        return tuple(dict.fromkeys(pair.to for pair in self.pairs))

    def sources(self, to: str | None = None) -> tuple[str, ...]:
        """Return the codes of the languages that can be translated from, into `to` or into any."""
        return tuple(dict.fromkeys(pair.source for pair in self.pairs if to in (None, pair.to)))

    def request(self, text: str, *, to: str, source: str | None = None, model: str | None = None) -> TranslateRequest:
        """Build a request; raise BadInput when no model leads from `source` to `to`."""
        target = read_language(to)
        origin = read_language(source) if source else None
        known = self._pairs_of(model)
        pairs = [pair for pair in known if pair.to == target and origin in (None, pair.source)]
        if not pairs:
            raise _no_way(known, origin, target)
        best = {pair.source: pair.model for pair in reversed(pairs)}
        routes = tuple(Route(source, best[source]) for source in dict.fromkeys(pair.source for pair in pairs))
        return TranslateRequest(model=routes[0].model, text=text, to=target, routes=routes, detect=origin is None)

    def request_of_model(self, text: str, *, to: str, source: str | None, model: str) -> TranslateRequest:
        """Build a request for any model at all, which the host names; raise BadInput."""
        parse_reference(model)
        route = Route(read_language(source) if source else ANY, model)
        return TranslateRequest(model=model, text=text, to=read_language(to), routes=(route,), detect=source is None)

    def _pairs_of(self, model: str | None) -> list[Pair]:
        names = [(pair.model, parse_reference(pair.model).short_name) for pair in self.pairs]
        pairs = [pair for pair, known in zip(self.pairs, names, strict=True) if model is None or model in known]
        if not pairs and model is not None:
            shown = ", ".join(dict.fromkeys(short for _, short in names))
            raise BadInput("There is no model “{name}” here. Choose one of: {known}.", name=model[:100], known=shown)
        return pairs


def _no_way(pairs: Sequence[Pair], source: str | None, to: str) -> BadInput:
    ways = ", ".join(f"{language_name(p.source)} → {language_name(p.to)}" for p in pairs)
    if source is None:
        return BadInput("I can't translate into {to} here. I know: {ways}.", to=language_name(to), ways=ways)
    return BadInput(
        "I can't translate from {source} into {to} here. I know: {ways}.",
        source=language_name(source),
        to=language_name(to),
        ways=ways,
    )


def read_language(text: str) -> str:
    """Return the code of a language given by code, tag or English name; raise BadInput."""
    from babel import Locale

    code = language_code(text)
    names = Locale("en").languages
    if code in names:
        return code
    wanted = text.strip().casefold()
    for known, name in names.items():
        if name.casefold() == wanted:
            return language_code(known)
    raise BadInput("“{text}” is no language I know. Give a code like “pt” or a name.", text=text[:50])


class TranslatePipeline(Pipeline):
    """Translate batches of texts into one language."""

    accepts = _ACCEPTS

    def __init__(self, settings: TranslateSettings) -> None:
        self._settings = settings

    def prepare(self, request: TranslateRequest, loaded: Loaded) -> _Plan | None:
        """Return the sentences of a text; raise BadInput for one in a language without a model."""
        route = _route(request)
        translator: _Translator | None = loaded(route.model)
        return None if translator is None else _Plan(route, translator.sentences(request.text))

    def run(self, requests: Sequence[TranslateRequest], context: Context) -> Iterator[Answers]:
        """Yield a TranslateResult for each request, or BadInput for a text in a language without a model."""
        texts, errors = context.prepared(_Translator)
        yield errors
        for route in dict.fromkeys(plan.route for plan in texts.values()):
            chosen = {index: plan for index, plan in texts.items() if plan.route == route}
            translator: _Translator = context.load(route.model, _Translator)
            yield from translator.answer(requests, chosen, self._settings.max_padded, context)


def _route(request: TranslateRequest) -> Route:
    """Choose the route by the language of the text."""
    if not request.detect:
        return request.routes[0]
    sources = {route.source: route for route in request.routes}
    found: Detected = detect_language(request.text, [*sources, request.to])
    if ANY in sources:
        return Route(found.code, sources[ANY].model)
    if found.code == request.to:
        raise BadInput(
            "This looks like {to} already. If it isn't, say which language it is in with “from”.",
            to=language_name(request.to),
        )
    if found.code not in sources:
        raise BadInput(
            "This looks like {found}, which I can't translate into {to} here. "
            "If it is another language, say so with “from”.",
            found=language_name(found.code),
            to=language_name(request.to),
        )
    return sources[found.code]


class _Translator:
    """Hold a sequence-to-sequence model and its tokenizer."""

    def __init__(self, files: ModelFiles, device: Device) -> None:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        self._shown = files.shown
        self._device = device.name
        self._tokenizer = AutoTokenizer.from_pretrained(files.folder, trust_remote_code=False)
        model = AutoModelForSeq2SeqLM.from_pretrained(
            files.folder, dtype=device.dtype, use_safetensors=True, trust_remote_code=False
        )
        self.model = fit(model.to(device.name).eval(), self._probe, files, device)

    def _probe(self, model: Any) -> Probe:
        """Return what translates as jobs do, step by step; copies are asked for the words that the model chose."""
        tokens = self._tokenizer(list(SENTENCES[:_PROBE_SENTENCES]), padding=True, return_tensors="pt")
        length = {"max_new_tokens": _PROBE_TOKENS, "max_length": None}
        right = model.generate(**tokens, **length)

        def probe(copy: Any) -> Any:
            copy.generate(**tokens, **length)
            return copy(**tokens, decoder_input_ids=right).logits

        return probe

    def sentences(self, text: str) -> _Sentences:
        """Return a text's pieces, and the tokens of those that are translated."""
        pieces = split_text(text)
        bodies = dict.fromkeys(piece.body for piece in pieces if piece.translatable)
        encoded = self._tokenizer(list(bodies), truncation=True, max_length=_LONGEST_TOKENS) if bodies else {}
        return _Sentences(pieces, dict(zip(bodies, encoded.get("input_ids", ()), strict=True)))

    def answer(
        self, requests: Sequence[TranslateRequest], plans: Mapping[int, _Plan], max_padded: int, context: Context
    ) -> Iterator[Answers]:
        """Translate all texts' sentences in common passes; yield each text when its last sentence is done."""
        tokens = {body: ids for plan in plans.values() for body, ids in plan.sentences.tokens.items()}
        done: dict[str, str] = {}
        waiting = dict(plans)
        for part in self._passes(tokens, max_padded):
            yield self._finished(requests, waiting, done, context)
            if not waiting:
                return
            done |= zip(part, self._generate([tokens[body] for body in part], waiting, context), strict=True)
        yield self._finished(requests, waiting, done, context)

    def _finished(
        self, requests: Sequence[TranslateRequest], waiting: dict[int, _Plan], done: Mapping[str, str], context: Context
    ) -> Answers:
        """Take the texts out of `waiting` that are done or were stopped, and return their answers."""
        answers: dict[int, Result | Exception] = {}
        for index, plan in list(waiting.items()):
            if context.cancelled(index):
                answers[index] = JobCancelled("Cancelled.")
            elif plan.sentences.tokens.keys() <= done.keys():
                answers[index] = self._result(requests[index], plan, done)
            else:
                continue
            del waiting[index]
        return answers

    def _result(self, request: TranslateRequest, plan: _Plan, done: Mapping[str, str]) -> TranslateResult:
        pieces = plan.sentences.pieces
        text = "".join(piece.with_body(done[piece.body] if piece.translatable else piece.body) for piece in pieces)
        return TranslateResult(
            model=self._shown, text=text.strip(), source=plan.route.source, to=request.to, detected=request.detect
        )

    def _passes(self, tokens: Mapping[str, list[int]], max_padded: int) -> list[list[str]]:
        """Divide sentences into those that are translated together, the shortest first."""
        bodies = list(tokens)
        groups = group_by_length([len(ids) for ids in tokens.values()], most=max_padded)
        return [[bodies[place] for place in group] for group in groups]

    def _generate(self, sentences: list[list[int]], waiting: Mapping[int, _Plan], context: Context) -> list[str]:
        """Translate sentences, given as tokens. It ends early when all who wait for them were stopped."""
        import torch
        from transformers import StoppingCriteriaList

        padded = self._tokenizer.pad({"input_ids": sentences}, return_tensors="pt").to(self._device)
        longest = min(_LONGEST_TOKENS, 3 * padded["input_ids"].shape[1] + 20)

        def stop(ids: Any, _scores: Any, **_: Any) -> Any:
            return torch.full((ids.shape[0],), fill_value=all(map(context.cancelled, waiting)), device=ids.device)

        with torch.inference_mode():
            ids = self.model.generate(
                **padded,
                max_new_tokens=longest,
                max_length=None,
                stopping_criteria=StoppingCriteriaList([stop]),
            )
        texts: list[str] = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        return texts


@dataclass(frozen=True, slots=True)
class _Sentences:
    """Hold a text's `pieces`, and by body the numbers of the tokens of those that are translated."""

    pieces: list[Piece]
    tokens: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """Hold what is to be translated, and by which route."""

    route: Route
    sentences: _Sentences
