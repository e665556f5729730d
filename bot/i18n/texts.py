"""Give every text that people see one place to go through, so that it can be translated.

Code writes the English sentence; gettext finds its translation for the locale of the moment. A translation is a
compiled catalogue `bot/locale/LANG/LC_MESSAGES/hubcord.mo`; without one the English sentence is shown.
"""

from __future__ import annotations

import gettext as gettext_module
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

_locale: ContextVar[str] = ContextVar("hubcord_locale", default="en")


def use_locale(locale: str) -> None:
    """Show the texts of the running asyncio task in `locale`, Discord's form of a language tag (`pt-BR`)."""
    _locale.set(locale)


def gettext(template: str, /, **values: Any) -> str:
    """Return `template` in the locale of the moment, its `{named}` gaps filled with `values`."""
    text = _catalogue(_locale.get()).gettext(template)
    return text.format(**values) if values else text


@dataclass(frozen=True, slots=True)
class Sentence:
    """Hold a sentence with `{named}` gaps apart from its values, so that it is translated where it is shown."""

    template: str
    values: Mapping[str, str | int] = field(default_factory=dict)

    def __str__(self) -> str:
        return gettext(self.template, **self.values)


def in_language(template: str, locale: str) -> str | None:
    """Return a template in a locale; None where it has no translation."""
    text = _catalogue(locale).gettext(template)
    return None if text == template else text


@lru_cache
def _catalogue(locale: str) -> gettext_module.NullTranslations:
    languages = [locale.replace("-", "_"), locale.partition("-")[0]]
    return gettext_module.translation("hubcord", Path(__file__).parent / "locale", languages, fallback=True)
