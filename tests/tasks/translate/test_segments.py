"""Test how texts are cut for translation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.tasks.translate.segments import split_text


def translated(text: str) -> str:
    """Return the text with everything in capitals that would be translated."""
    return "".join(p.with_body(p.body.upper() if p.translatable else p.body) for p in split_text(text))


@given(st.text(alphabet="aB1 .!?\n\t`<@#:/>", max_size=80))
def test_the_pieces_are_the_text(text: str) -> None:
    assert "".join(piece.with_body(piece.body) for piece in split_text(text)) == text


def test_sentences_and_lines_are_pieces() -> None:
    bodies = [piece.body for piece in split_text("One. Two!\n\n  Three? four")]
    assert [body for body in bodies if body] == ["One.", "Two!", "Three?", "four"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hi <@123> and <@!4>, <@&5>", "HI <@123> AND <@!4>, <@&5>"),
        ("see <#77> at <t:1700000000:R>", "SEE <#77> AT <t:1700000000:R>"),
        ("lol <:pog:123> <a:dance:4>", "LOL <:pog:123> <a:dance:4>"),
        ("read https://example.org/a_b?c=d now", "READ https://example.org/a_b?c=d NOW"),
        ("run `make test` please", "RUN `make test` PLEASE"),
        ("so:\n```py\nprint(1)\n```\nok", "SO:\n```py\nprint(1)\n```\nOK"),
        ("use </queue:99>", "USE </queue:99>"),
        ("1 < 2 and a > b", "1 < 2 AND A > B"),
        ("12:30 !!! 😀", "12:30 !!! 😀"),
        ("he is ||the murderer||, @everyone", "HE IS ||THE MURDERER||, @everyone"),
        ("me@everyonesmail.org | no", "ME@EVERYONESMAIL.ORG | NO"),
    ],
)
def test_what_is_never_translated(text: str, shown: str) -> None:
    assert translated(text) == shown
