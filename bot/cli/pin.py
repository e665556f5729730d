"""Pin the Hub's repositories in a configuration file to their newest commits, and leave all else as it is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from bot.inference.reference import ModelReference, parse_reference

_QUOTED = re.compile(r"""(?P<quote>["'])(?P<text>hf:[^"'\s]+)(?P=quote)""")


def references_in(toml: str) -> Iterator[ModelReference]:
    """Yield each Hub reference of a configuration once, comments' too."""
    for text in dict.fromkeys(match["text"] for match in _QUOTED.finditer(toml)):
        yield parse_reference(text)


def branch(reference: ModelReference) -> str | None:
    """Return the branch or tag whose newest commit is meant; None for the main one."""
    return None if reference.is_commit else reference.revision


def pinned(toml: str, newest: Callable[[ModelReference], str | None]) -> str:
    """Return a configuration with each Hub reference at the commit that `newest` tells, or as it is."""
    commits = {
        found.text: replace(found, revision=newest(found) or found.revision).text for found in references_in(toml)
    }
    return _QUOTED.sub(lambda match: f"{match['quote']}{commits[match['text']]}{match['quote']}", toml)


def difference(before: str, after: str, name: str) -> str:
    """Return what changed as a unified diff."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="")
    return "\n".join(lines)
