"""Decide from a model and its tokenizer what makes it translate from one language into another.

Models of one pair need nothing. Of the others some read the language to translate into before the text (OPUS-MT,
MADLAD, T5), some write it first (M2M100, NLLB, mBART). A model that isn't told translates into any language at all.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bot.inference.languages import language_code, usual_script
from bot.inference.translation.tags import by_language

KINDS = frozenset({
    "FSMTForConditionalGeneration", "MarianMTModel", "M2M100ForConditionalGeneration",
    "NllbMoeForConditionalGeneration", "MBartForConditionalGeneration", "T5ForConditionalGeneration",
    "MT5ForConditionalGeneration", "UMT5ForConditionalGeneration", "BartForConditionalGeneration",
    "EncoderDecoderModel",
})  # fmt: skip
"""The architectures that translate. What isn't named below is taken for a model of the one pair that the host says."""

T5 = frozenset({"t5", "mt5", "umt5"})
"""The types of T5 and its kin, MADLAD among them."""

_OPUS_TOKEN = re.compile(r">>(.+)<<")
_MADLAD_TOKEN = re.compile(r"<2([a-z]{2,3}(_[A-Z][A-Za-z]+)?)>")
_TAG = re.compile(r"[a-z]{2,3}_[A-Z][A-Za-z]{1,3}")
_TASK = re.compile(r"translation_([a-z]{2,3})_to_([a-z]{2,3})")
_SEARCH = ("num_beams", "early_stopping", "length_penalty", "no_repeat_ngram_size")


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

    def way(self, source: str, to: str) -> Way | None:
        """Return the only way."""
        return self.example if self.source in (None, source) and self.to in (None, to) else None


@dataclass(frozen=True, slots=True)
class TargetPrefix:
    """Steer a model that reads the language first. `prefixes` are by language; `source` None is any."""

    prefixes: Mapping[str, str]
    source: str | None = None

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
    def example(self) -> Way:
        """Return the first way."""
        return next(iter(self.ways.values()), Way())

    def way(self, source: str, to: str) -> Way | None:
        """Return the way of the task."""
        return self.ways.get((source, to))


def find_steering(model: Any, tokenizer: Any, config: Mapping[str, Any]) -> Steering:
    """Return what steers a model; `config` is what its config.json says."""
    match model.config.model_type:
        case "fsmt":
            source, to = model.config.langs
            return OnePair(language_code(source), language_code(to))
        case "marian":
            return _marian(tokenizer)
        case "m2m_100" | "nllb-moe" | "mbart":
            return _language_tokens(model, tokenizer)
        case kind if kind in T5:
            return _t5(tokenizer, config)
        case _:
            return OnePair()


def _marian(tokenizer: Any) -> Steering:
    source, to = map(_single, (tokenizer.source_lang, tokenizer.target_lang))
    prefixes = _prefixes(tokenizer, _OPUS_TOKEN)
    return TargetPrefix(prefixes, source) if prefixes else OnePair(source, to)


def _single(tag: str | None) -> str | None:
    """Return the language of a tag; None for groups of languages like `ROMANCE` and `mul`."""
    code = language_code(tag or "")
    return code if usual_script(code) else None


def _prefixes(tokenizer: Any, pattern: re.Pattern[str]) -> dict[str, str]:
    """Return what is put before a text, by the language that it asks for."""
    tokens = {match[1]: match[0] for match in map(pattern.fullmatch, tokenizer.get_vocab()) if match}
    return {language: f"{tokens[tag]} " for language, tag in by_language(tokens).items()}


def _t5(tokenizer: Any, config: Mapping[str, Any]) -> Steering:
    if prefixes := _prefixes(tokenizer, _MADLAD_TOKEN):
        return TargetPrefix(prefixes)
    tasks = config.get("task_specific_params") or {}
    ways = {_languages(match): _task(tasks[match[0]]) for match in map(_TASK.fullmatch, tasks) if match}
    if not ways and config.get("prefix"):
        return OnePair(example=Way(prefix=config["prefix"]))
    return Tasks(ways)


def _languages(match: re.Match[str]) -> tuple[str, str]:
    return language_code(match[1]), language_code(match[2])


def _task(values: Mapping[str, Any]) -> Way:
    return Way(prefix=values.get("prefix", ""), options={key: values[key] for key in _SEARCH if key in values})


def _language_tokens(model: Any, tokenizer: Any) -> Steering:
    """Steer with what the decoder starts with (mBART), or writes next (the others).

    A model whose own configuration says which language that is was tuned for that one alone.
    """
    numbers = _numbers(tokenizer, model.config.vocab_size)
    settings, languages = model.generation_config, set(numbers.values())
    option = "decoder_start_token_id" if settings.decoder_start_token_id in languages else "forced_bos_token_id"
    only = {getattr(settings, option)} & languages
    wrote = {tag: number for tag, number in numbers.items() if number in (only or languages)}
    before, after = _places(tokenizer, languages)
    return LanguageTokens(_by_language(numbers), _by_language(wrote), before, after, option)


def _places(tokenizer: Any, languages: Container[int]) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
    """Return what a tokenizer puts before and after a text, with None for the language; raise ValueError."""
    if hasattr(tokenizer, "src_lang"):
        tokenizer.src_lang = tokenizer.src_lang  # counts anew: the numbers may be those of an earlier vocabulary
    before, after = (
        tuple(None if number in languages else number for number in getattr(tokenizer, part, ()))
        for part in ("prefix_tokens", "suffix_tokens")
    )
    if None not in (*before, *after):
        raise ValueError("its tokenizer has no place for the language of a text")
    return before, after


def _numbers(tokenizer: Any, vocabulary: int) -> dict[str, int]:
    """Return the number of each language's token, by the tag that the tokenizer has for it."""
    numbers: dict[str, int] = getattr(tokenizer, "lang_code_to_id", None) or {
        token: tokenizer.convert_tokens_to_ids(token) for token in tokenizer.all_special_tokens if _TAG.fullmatch(token)
    }
    return {tag: number for tag, number in numbers.items() if number < vocabulary}


def _by_language(numbers: Mapping[str, int]) -> dict[str, int]:
    return {language: numbers[tag] for language, tag in by_language(numbers).items()}
