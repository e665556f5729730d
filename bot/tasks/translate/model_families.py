"""Find out from a model and its tokenizer how it is told its languages, and which ones it knows.

A model that isn't told translates into any language at all.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bot.hub.download.repository import read_config
from bot.tasks.tokenizer import load_tokenizer
from bot.tasks.translate.language_control import LanguageTokens, OnePair, Steering, TargetPrefix, Tasks, Way
from bot.tasks.translate.language_tags import by_language
from bot.tasks.translate.languages import language_code, usual_script

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


Prefixes = Mapping[tuple[str, str], str]
"""What the host says that a model reads before a text, by (source, target)."""


def read_steering(folder: Path, prefixes: Prefixes) -> Steering:
    """Return what steers a model, without its weights; raise ValueError or OSError for one that can't be used."""
    from transformers import AutoConfig, GenerationConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    tokenizer = load_tokenizer(folder)
    try:
        generation = GenerationConfig.from_pretrained(folder)
    except OSError:  # older models have none
        generation = GenerationConfig.from_model_config(config)
    model = SimpleNamespace(config=config, generation_config=generation)
    return find_steering(model, tokenizer, read_config(folder), prefixes)


def find_steering(model: Any, tokenizer: Any, config: Mapping[str, Any], prefixes: Prefixes) -> Steering:
    """Return what steers a model; `config` is what its config.json says. Raise ValueError for prefixes in vain."""
    steering = _find(model, tokenizer, config)
    if not prefixes:
        return steering
    if model.config.model_type not in T5 or isinstance(steering, TargetPrefix):
        raise ValueError("it is told its languages in another way: take prefix out of its [[translate.pairs]]")
    known = steering.ways if isinstance(steering, Tasks) else {}
    return Tasks({**known, **{way: Way(prefix=prefix) for way, prefix in prefixes.items()}})


def _find(model: Any, tokenizer: Any, config: Mapping[str, Any]) -> Steering:
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
    before, after = (
        tuple(None if number in languages else number for number in getattr(tokenizer, part, ()))
        for part in ("prefix_tokens", "suffix_tokens")
    )
    if None not in (*before, *after):
        raise ValueError("its tokenizer has no place for the language of a text")
    return before, after


def _numbers(tokenizer: Any, vocabulary: int) -> dict[str, int]:
    """Return the number of each language's token, by the tag that the tokenizer has for it."""
    tokens = getattr(tokenizer, "lang_code_to_token", None) or {
        token: token for token in tokenizer.all_special_tokens if _TAG.fullmatch(token)
    }
    numbers = {tag: tokenizer.convert_tokens_to_ids(token) for tag, token in tokens.items()}
    return {tag: number for tag, number in numbers.items() if number < vocabulary}


def _by_language(numbers: Mapping[str, int]) -> dict[str, int]:
    return {language: numbers[tag] for language, tag in by_language(numbers).items()}
