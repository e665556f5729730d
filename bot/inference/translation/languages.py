"""Name languages and find out which one a text is in."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bot.errors import BadInput

_SAME = {
    "nb": "no", "pbt": "ps", "quy": "qu", "gug": "gn", "fuv": "ff", "ns": "nso", "pob": "pt_BR",
}  # fmt: skip
"""Codes that models, the language detector and Discord use for the same, where CLDR's aliases don't say so."""
_ALSO_CALLED = {
    "bahasa indonesia": "id", "bahasa melayu": "ms", "bengali": "bn", "castilian": "es", "farsi": "fa", "gaelic": "gd",
    "kirghiz": "ky", "mandarin": "zh", "myanmar": "my", "oriya": "or", "panjabi": "pa", "pushto": "ps",
    "sinhalese": "si", "uighur": "ug",
}  # fmt: skip
"""Names that people use and CLDR doesn't."""

_SURE = 0.9
_LONG_ENOUGH_WORDS = 4


def language_code(tag: str) -> str:
    """Return the code of a language tag without script and region: `pt-BR`, `PT` and `por_Latn` give `pt`."""
    return subtags(tag)[0]


@lru_cache(maxsize=4096)
def subtags(tag: str) -> tuple[str, ...]:
    """Return the parts of a language tag: the shortest code that the language has, then script and region."""
    from babel.core import get_global

    language, *others = tag.strip().replace("-", "_").split("_")
    code = str(get_global("language_aliases").get(language.lower(), language.lower()))
    return (*_SAME.get(code, code).split("_"), *others)


def usual_script(code: str) -> str | None:
    """Return the script that a language is mostly written in: `Cyrl` for `sr`; None for what is no single language."""
    from babel.core import get_global

    likely = get_global("likely_subtags").get(code) if code != "und" else None
    return str(likely).split("_")[1] if likely else None


def read_language(text: str, locale: str = "en") -> str:
    """Return the code of a language given by code, tag, or name in English or in `locale`; raise BadInput."""
    code = language_code(text)
    if usual_script(code):
        return code
    for wanted in (text.strip().casefold(), text.partition("(")[0].strip().casefold()):  # Portuguese (Brazil)
        found = _codes(locale).get(wanted) or _codes("en").get(wanted) or _ALSO_CALLED.get(wanted)
        if found:
            return found
    raise BadInput("“{text}” is no language I know. Give a code like “pt” or a name.", text=text[:50])


@lru_cache(maxsize=1024)
def language_name(code: str, locale: str = "en") -> str:
    """Return the name of a language in `locale`, or the code itself when it has none."""
    return str(_names(locale).get(code, code))


def _names(locale: str) -> Mapping[str, str]:
    """Return the names of languages in a locale, in English for an unknown one."""
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(locale, sep="-").languages
    except (UnknownLocaleError, ValueError):
        return Locale("en").languages


@lru_cache(maxsize=8)
def _codes(locale: str) -> Mapping[str, str]:
    """Return the codes of languages by their names in a locale."""
    return {name.casefold(): language_code(code) for code, name in _names(locale).items()}


@dataclass(frozen=True, slots=True)
class Detected:
    """Hold a language code and how probable it is."""

    code: str
    probability: float


def detect_language(text: str, likely: Collection[str]) -> Detected:
    """Return the language of `text`.

    Short texts deceive the detector (85 % right on three words): for them, or when it isn't sure, only the `likely`
    languages are considered, as far as they are written so.
    """
    identifier = _identifier()
    ranked = [Detected(language_code(code), float(p)) for code, p in identifier.rank(text)]
    sure = ranked[0].probability >= _SURE and len(text.split()) >= _LONG_ENOUGH_WORDS
    if sure or ranked[0].code in likely:
        return ranked[0]
    without_latin = _is_without_latin(text)
    possible = {code for code in likely if not (without_latin and _is_latin(code))}
    return next((guess for guess in ranked if guess.code in possible), ranked[0])


def _is_without_latin(text: str) -> bool:
    """Say whether a text has letters, and none of them is a Latin one."""
    letters = [sign for sign in text if sign.isalpha()]
    return bool(letters) and not any(unicodedata.name(sign, "").startswith("LATIN") for sign in letters)


def _is_latin(code: str) -> bool:
    """Say whether a language is usually written in Latin script."""
    from babel.core import get_global

    return "_Latn" in get_global("likely_subtags").get(code, "")


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
