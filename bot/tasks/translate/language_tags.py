"""Tell what language a model means by its own tags: `eng_Latn`, `pt_XX`, `cmn_Hans`, `por`, `pt`."""

from __future__ import annotations

from collections.abc import Iterable

from bot.tasks.translate.languages import subtags, usual_script, varieties

_SCRIPT_CHARS = 4


def by_language(tags: Iterable[str]) -> dict[str, str]:
    """Return the tag that means each language, by the language's code, and by those of its scripts and regions.

    Of several the one in the script that the language is mostly written in, and without a region where there is one:
    `zho_Hans` and not `zho_Hant` for `zh`, `pt` and not `pt_BR` for `pt`.
    """
    found: dict[str, str] = {}
    for tag in sorted(tags, key=_strangeness):
        for code in reversed(varieties(tag)):
            found.setdefault(code, tag)
    return found


def _strangeness(tag: str) -> tuple[bool, int]:
    language, *others = subtags(tag)
    scripts = [part.title() for part in others if len(part) == _SCRIPT_CHARS]
    return any(script != usual_script(language) for script in scripts), len(others)
