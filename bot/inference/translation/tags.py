"""Tell what language a model means by its own tags: `eng_Latn`, `pt_XX`, `cmn_Hans`, `por`, `pt`."""

from __future__ import annotations

from collections.abc import Iterable

from bot.inference.translation.languages import language_code, subtags, usual_script

_SCRIPT_CHARS = 4


def by_language(tags: Iterable[str]) -> dict[str, str]:
    """Return the tag that means each language, by the language's code.

    Of several the one in the script that the language is mostly written in, and without a region where there is one:
    `zho_Hans` and not `zho_Hant` for Chinese, `pt` and not `pt_BR`.
    """
    found: dict[str, str] = {}
    for tag in sorted(tags, key=_strangeness):
        found.setdefault(language_code(tag), tag)
    return found


def _strangeness(tag: str) -> tuple[bool, int]:
    language, *others = subtags(tag)
    scripts = [part.title() for part in others if len(part) == _SCRIPT_CHARS]
    return any(script != usual_script(language) for script in scripts), len(others)
