"""Translate texts with sequence-to-sequence models, one for each pair of languages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from bot.errors import BadInput, JobCancelled
from bot.inference.device import Device
from bot.inference.hub import ModelFiles
from bot.inference.languages import Detected, detect_language, language_code, language_name
from bot.inference.pipeline import Context, Request, Result
from bot.inference.reference import parse_reference
from bot.inference.sentences import split_text
from bot.inference.settings import Frozen, Reference, TaskSettings

MAX_CHARS = 6_000
_LONGEST_TOKENS = 512
_SENTENCES_AT_ONCE = 16


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
    """Set up /translate: its pairs of languages."""

    pairs: tuple[Pair, ...] = Field(
        default=(
            Pair(**{"from": "en", "to": "pt", "model": "bundled:bergamot-en-pt"}),
            Pair(**{"from": "pt", "to": "en", "model": "bundled:bergamot-pt-en"}),
        ),
        min_length=1,
    )
    max_padded: int = Field(default=4_096, ge=1)

    def padded_limit(self) -> int:
        """Return the most characters of a batch, padding included."""
        return self.max_padded

    @property
    def references(self) -> tuple[str, ...]:
        """Return every model reference that may be asked for."""
        return tuple(dict.fromkeys(pair.model for pair in self.pairs))

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


class TranslatePipeline:
    """Translate batches of texts into one language."""

    def __init__(self, settings: TranslateSettings) -> None:
        self._settings = settings

    def run(self, requests: Sequence[TranslateRequest], context: Context) -> list[Result | Exception]:
        """Return a TranslateResult for each request, or BadInput for a text in a language without a model."""
        plans = [_plan(request) for request in requests]
        answers: dict[int, Result | Exception] = {i: plan for i, plan in enumerate(plans) if isinstance(plan, BadInput)}
        for route in dict.fromkeys(plan for plan in plans if isinstance(plan, Route)):
            chosen = [i for i, plan in enumerate(plans) if plan == route]
            translator: _Translator = context.load(route.model, _Translator)
            answers |= translator.answer(requests, chosen, route, context)
        return [answers[i] for i in range(len(requests))]


def _plan(request: TranslateRequest) -> Route | BadInput:
    """Choose the route by the language of the text."""
    if not request.detect:
        return request.routes[0]
    sources = {route.source: route for route in request.routes}
    found: Detected = detect_language(request.text, [*sources, request.to])
    if ANY in sources:
        return Route(found.code, sources[ANY].model)
    if found.code == request.to:
        return BadInput(
            "This looks like {to} already. If it isn't, say which language it is in with “from”.",
            to=language_name(request.to),
        )
    if found.code not in sources:
        return BadInput(
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
        self._tokenizer = AutoTokenizer.from_pretrained(files.folder)
        self.model = AutoModelForSeq2SeqLM.from_pretrained(files.folder, dtype=device.dtype, use_safetensors=True)
        self.model.to(device.name).eval()

    def answer(
        self, requests: Sequence[TranslateRequest], chosen: list[int], route: Route, context: Context
    ) -> dict[int, Result | Exception]:
        """Translate the chosen requests, sentence by sentence, all their sentences in common batches."""
        pieces = {i: split_text(requests[i].text) for i in chosen}
        sentences = dict.fromkeys(p.body for part in pieces.values() for p in part if p.translatable)
        translations = self._translate(list(sentences), lambda: all(map(context.cancelled, chosen)))
        answers: dict[int, Result | Exception] = {}
        for i in chosen:
            if len(translations) < len(sentences) or context.cancelled(i):
                answers[i] = JobCancelled("Cancelled.")
                continue
            text = "".join(p.with_body(translations[p.body] if p.translatable else p.body) for p in pieces[i])
            answers[i] = TranslateResult(
                model=self._shown,
                text=text.strip(),
                source=route.source,
                to=requests[i].to,
                detected=requests[i].detect,
            )
        return answers

    def _translate(self, sentences: list[str], stopped: Callable[[], bool]) -> dict[str, str]:
        """Return the translation of each sentence; those of similar length are translated together."""
        sentences.sort(key=len)
        translations: dict[str, str] = {}
        for start in range(0, len(sentences), _SENTENCES_AT_ONCE):
            part = sentences[start : start + _SENTENCES_AT_ONCE]
            if stopped():
                break
            translations |= zip(part, self._generate(part, stopped), strict=True)
        return translations

    def _generate(self, sentences: list[str], stopped: Callable[[], bool]) -> list[str]:
        import torch
        from transformers import StoppingCriteriaList

        tokens = self._tokenizer(
            sentences, padding=True, truncation=True, max_length=_LONGEST_TOKENS, return_tensors="pt"
        ).to(self._device)
        longest = min(_LONGEST_TOKENS, 3 * tokens["input_ids"].shape[1] + 20)

        def stop(ids: Any, _scores: Any, **_: Any) -> Any:
            return torch.full((ids.shape[0],), fill_value=stopped(), device=ids.device)

        with torch.inference_mode():
            ids = self.model.generate(
                **tokens,
                max_new_tokens=longest,
                max_length=None,
                stopping_criteria=StoppingCriteriaList([stop]),
            )
        texts: list[str] = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        return texts
