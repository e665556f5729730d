"""Name languages and find out which one a text is in."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bot.errors import BadInput

if TYPE_CHECKING:
    from babel import Locale

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


def varieties(tag: str) -> tuple[str, ...]:
    """Return the codes of a language tag, the most exact first, the language's own last.

    A script or region is told where it isn't the usual one: `zh-TW` gives `zh_Hant` and `zh`, `pt-PT` gives `pt_PT`
    and `pt`, `pt-BR` and `por_Latn` give `pt` alone.
    """
    from babel.core import get_global

    language, *others = subtags(tag)
    likely = get_global("likely_subtags")
    if language not in likely:
        return (language,)
    codes = [language]
    region = next((part.upper() for part in others if part.upper() in _locale("en").territories), "")
    of_region = likely.get(f"{language}_{region}", likely[language]).split("_")[1]
    script = next((part.title() for part in others if part.title() in _locale("en").scripts), of_region)
    if script != usual_script(language):
        codes.append(f"{language}_{script}")
    if region and region != likely.get(codes[-1], likely[language]).split("_")[2]:
        codes.append(f"{codes[-1]}_{region}")
    return tuple(reversed(codes))


def read_language(text: str, locale: str = "en", known: Collection[str] = ()) -> str:
    """Return the code of a language as `read_varieties` reads it, with a script or region if that code is `known`."""
    codes = read_varieties(text, locale, known)
    return next((code for code in codes if code in known), codes[-1])


def read_varieties(text: str, locale: str = "en", known: Collection[str] = ()) -> tuple[str, ...]:
    """Return the codes of a language, the most exact first; raise BadInput for what is none.

    It is given by a code, a tag, or its name in English, in `locale` or, for `known` codes, in the language itself.
    """
    codes = varieties(text)
    return codes if usual_script(codes[-1]) else _by_name(text.strip(), locale, known)


def _by_name(name: str, locale: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the codes of a language that is given by its name; raise BadInput."""
    whole = name.casefold()
    language, _, kind = whole.partition("(")  # Chinese (Traditional)
    for wanted, part in ((whole, ""), (language.strip(), kind.strip(" )"))):
        found = _codes(locale).get(wanted) or _codes("en").get(wanted) or _ALSO_CALLED.get(wanted)
        if found:
            more = _parts(locale).get(part) or _parts("en").get(part)
            return varieties(f"{found}_{more}" if more else found)
    if own := own_names(tuple(known)).get(whole):
        return varieties(own)
    raise BadInput("“{text}” is no language I know. Give a code like “pt” or a name.", text=name[:50])


@lru_cache(maxsize=1024)
def language_name(code: str, locale: str = "en") -> str:
    """Return the name of a language in `locale`, or the code itself when it has none."""
    names = _locale(locale)
    language, *parts = code.split("_")
    if code in names.languages or not parts:
        return str(names.languages.get(code, code))
    shown = (str(names.scripts.get(part) or names.territories.get(part, part)) for part in parts)
    return f"{language_name(language, locale)} ({', '.join(shown)})"


@lru_cache(maxsize=64)
def own_names(codes: tuple[str, ...]) -> Mapping[str, str]:
    """Return these codes by what each language calls itself, in lower case.

    It takes 5 ms and 0.4 MB for each language that wasn't asked about before.
    """
    from babel import UnknownLocaleError

    found: dict[str, str] = {}
    for code in codes:
        with contextlib.suppress(UnknownLocaleError, ValueError):
            found.setdefault(_parsed(code, "_").languages.get(code, code).casefold(), code)
    return found


def _locale(text: str) -> Locale:
    """Return what is known of a locale, of English for an unknown one."""
    from babel import UnknownLocaleError

    try:
        return _parsed(text, "-")
    except (UnknownLocaleError, ValueError):
        return _parsed("en", "-")


def _parsed(text: str, separator: str) -> Locale:
    from babel import Locale

    return Locale.parse(text, sep=separator)


@lru_cache(maxsize=8)
def _codes(locale: str) -> Mapping[str, str]:
    """Return the codes of languages by their names in a locale."""
    return {name.casefold(): code for code, name in _locale(locale).languages.items()}


@lru_cache(maxsize=8)
def _parts(locale: str) -> Mapping[str, str]:
    """Return the codes of scripts and regions by their names in a locale."""
    found = _locale(locale)
    return {name.casefold(): code for code, name in [*found.territories.items(), *found.scripts.items()]}


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
