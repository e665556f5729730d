"""Name languages and find out which one a text is in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_SURE = 0.9
_LONG_ENOUGH_WORDS = 4


def language_code(tag: str) -> str:
    """Return the code of a language tag without its region: `pt-BR` and `PT` give `pt`."""
    return tag.strip().replace("_", "-").partition("-")[0].lower()


@lru_cache(maxsize=1024)
def language_name(code: str, locale: str = "en") -> str:
    """Return the name of a language in `locale`, or the code itself when it has none."""
    from babel import Locale, UnknownLocaleError

    try:
        names = Locale.parse(locale, sep="-").languages
    except (UnknownLocaleError, ValueError):
        names = Locale("en").languages
    return str(names.get(code, code))


@dataclass(frozen=True, slots=True)
class Detected:
    """Hold a language code and how probable it is."""

    code: str
    probability: float


def detect_language(text: str, likely: Collection[str]) -> Detected:
    """Return the language of `text`.

    Short texts deceive the detector (85 % right on three words): for them, or when it isn't sure, only the `likely`
    languages are considered.
    """
    identifier = _identifier()
    ranked = [Detected(code, float(p)) for code, p in identifier.rank(text)]
    sure = ranked[0].probability >= _SURE and len(text.split()) >= _LONG_ENOUGH_WORDS
    if sure or ranked[0].code in likely:
        return ranked[0]
    return next((guess for guess in ranked if guess.code in likely), ranked[0])


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
