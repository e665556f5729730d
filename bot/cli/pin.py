"""Pin the Hub's repositories in a configuration file to their newest commits, and leave all else as it is."""

from __future__ import annotations

import contextlib
import difflib
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bot.errors import BadInput
from bot.hub.reference import ModelReference, parse_reference

_QUOTED = re.compile(r"""(?P<quote>["'])(?P<text>hf:[^"'\s]+)(?P=quote)""")


def references_in(toml: str) -> Iterator[ModelReference]:
    """Yield each Hub reference of a configuration once, comments' too, where much may look like one."""
    for text in dict.fromkeys(match["text"] for match in _QUOTED.finditer(toml)):
        with contextlib.suppress(BadInput):
            yield parse_reference(text)


def pinned(toml: str, newest: Callable[[ModelReference], str | None]) -> str:
    """Return a configuration with each Hub reference at the commit that `newest` tells, or as it is."""
    commits = {
        found.text: replace(found, revision=newest(found) or found.revision).text for found in references_in(toml)
    }

    def pin(match: re.Match[str]) -> str:
        return f"{match['quote']}{commits.get(match['text'], match['text'])}{match['quote']}"

    return _QUOTED.sub(pin, toml)


def rewrite(path: Path, text: str) -> None:
    """Write a file anew, its lines ended as in `text`; a crash in between leaves the old one."""
    path = path.resolve()  # of a link, what it leads to
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(text.encode())
    shutil.copymode(path, beside)
    beside.replace(path)


def difference(before: str, after: str, name: str) -> str:
    """Return what changed as a unified diff."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="")
    return "\n".join(lines)
