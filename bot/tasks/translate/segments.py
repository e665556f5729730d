"""Cut texts into what is translated and what stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_END = re.compile(r"(?<=[.!?…。！？])\s+")
_AS_IT_IS = re.compile(
    r"""
    ```.*?```                     # blocks of code
    | `[^`\n]+`                   # code in a line
    | <a?:\w+:\d+>                # Discord's custom emoji
    | <(?:@[!&]?|\#|t:|/[^:>\n]+:)[-\d:A-Za-z]+>   # mentions of people, roles, channels and commands; times
    | @(?:everyone|here)\b
    | \|\|                        # marks of spoilers
    | https?://[^\s<>]+           # links
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Hold a part of a text. `before` and `after` are the white space around its `body`."""

    before: str
    body: str
    after: str
    translatable: bool

    def with_body(self, body: str) -> str:
        """Return the piece with another body."""
        return f"{self.before}{body}{self.after}"


def split_text(text: str) -> list[Piece]:
    """Cut a text into sentences and into what is never translated.

    That are code, links, mentions, custom emoji and the marks of spoilers.
    The pieces in a row, white space included, are the text again.
    """
    pieces: list[Piece] = []
    start = 0
    for kept in _AS_IT_IS.finditer(text):
        pieces += _sentences(text[start : kept.start()])
        pieces.append(Piece("", kept[0], "", translatable=False))
        start = kept.end()
    return pieces + list(_sentences(text[start:]))


def _sentences(text: str) -> Iterator[Piece]:
    for line in text.splitlines(keepends=True):
        start = 0
        for end in _END.finditer(line):
            yield _piece(line[start : end.end()])
            start = end.end()
        if line[start:]:
            yield _piece(line[start:])


def _piece(text: str) -> Piece:
    body = text.strip()
    if not body:
        return Piece(text, "", "", translatable=False)
    start = text.index(body)
    has_words = any(character.isalpha() for character in body)
    return Piece(text[:start], body, text[start + len(body) :], translatable=has_words)
