"""Test that people's texts can't break out of the place where they are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ui.markdown import bar, cut, escape, escape_keeping_links, quote, score_line, steps_bar
from tests.fakes.seen import as_read

MARKUP = st.text(alphabet="\\*_~|`[]()<>#@:-! \nab1&", max_size=40)


@pytest.mark.parametrize(
    "text",
    [
        "**bold** _slanted_ ~~gone~~ ||hidden||",
        "```py\nprint()\n```",
        "`code`",
        "[here](https://evil.example)",
        "[a](b) and [here](https://evil.example)",
        "[[a](b)](https://evil.example)",
        "# Heading\n## Heading\n### Heading\n-# small\n- item\n> quote\n>>> all",
        "<@123456789012345678> <@&123456789012345678> <#123456789012345678> </imagine:1> <t:0:R> <:cat:1>",
        "\\<@123456789012345678>",
        "\\\\<#123456789012345678>",
        "\\**bold\\**",
        "\\",
    ],
)
def test_no_formatting_survives(text: str) -> None:
    assert as_read(escape(text)) == (text, "")


def test_addresses_can_be_followed_and_hide_behind_no_words() -> None:
    text = "_1._ See https://hub.example/a_b/c_d . [here](https://evil.example) @everyone"
    shown = escape_keeping_links(text)
    assert "https://hub.example/a_b/c_d ." in shown
    assert as_read(shown.replace("https://hub.example/a_b/c_d", "")) == (
        text.replace("https://hub.example/a_b/c_d", ""),
        "",
    )
    assert "@everyone" not in shown


@pytest.mark.parametrize(
    "text",
    ["https://** a https://**", "https://a.b/||x||", "https://a.b/`x` `", "https://a.b/@everyone", "https://[x](y)"],
)
def test_no_formatting_survives_in_addresses(text: str) -> None:
    assert as_read(escape_keeping_links(text)) == (text, "")
    assert "@everyone" not in escape_keeping_links(text)


def test_custom_emoji_and_times_are_seen_and_mentions_are_not() -> None:
    text = "_1_ <a:pog:123456789012345678> <t:1700000000:R> <@123456789012345678> </imagine:1>"
    assert escape_keeping_links(text) == (
        "\\_1\\_ <a:pog:123456789012345678> <t:1700000000:R> \\<@\u200b123456789012345678> \\</imagine:1>"
    )


@pytest.mark.parametrize("text", ["the ||cat|| dies", "||\na\nb||", "|||a|||", "a ||b||\\"])
def test_what_has_a_spoiler_is_quoted_behind_one(text: str) -> None:
    shown = quote(text)
    assert shown.startswith("> ||")
    assert shown.endswith(" ||")
    assert "||" not in shown[4:-2]
    assert quote("||not") == "> \\|\\|not"


@given(MARKUP)
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    assert as_read(escape(text)) == (text, "")


@pytest.mark.parametrize("mention", ["@everyone", "@here", "<@123456789012345678>", "<@&123456789012345678>"])
def test_mentions_are_broken(mention: str) -> None:
    assert mention not in escape(mention)


def test_a_quote_is_one_line_of_limited_length() -> None:
    shown = quote("first\n\n# second\r\n" + "x" * 400, 50)
    assert "\n" not in shown
    assert shown.startswith("> first # second xxx")
    assert shown.endswith("…")
    assert len(shown) == 2 + 50


@given(st.text(max_size=30), st.integers(min_value=1, max_value=20))
def test_cut_never_exceeds_the_length(text: str, chars: int) -> None:
    short = cut(text, chars)
    assert len(short) <= chars
    assert short == text or short.endswith("…")


@pytest.mark.parametrize(("share", "shown"), [(0, " " * 12), (1, "█" * 12), (0.5, "█" * 6 + " " * 6), (2, "█" * 12)])
def test_bar(share: float, shown: str) -> None:
    assert bar(share) == shown


@given(st.floats(min_value=-1, max_value=2))
def test_bars_are_equally_long(share: float) -> None:
    assert len(bar(share)) == 12


def test_steps_bar() -> None:
    assert steps_bar(1, 4) == "▰▰▱▱▱▱▱▱▱▱"
    assert steps_bar(4, 4) == "▰" * 10
    assert steps_bar(0, 0) == "▱" * 10


def test_a_label_stays_outside_of_the_code() -> None:
    line = score_line("`rm` [x](y) " + "z" * 100, 0.25)
    assert line.startswith("`███         ` ` 25.0%` \\`rm\\`")
    shown, active = as_read(line)
    assert active == "````"
    assert shown.endswith("z…")
