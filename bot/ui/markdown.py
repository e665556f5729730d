"""Show people's texts and numbers inside Discord's formatting without letting them break out of it."""

from __future__ import annotations

import re

import discord

MOST_CHARS = 1_900
"""What a text may have that is to be a message, with room for a mention beside it. Discord takes 2,000."""
QUOTE_CHARS = 300
_ANYWHERE = re.compile(r"([\\*_~`|\[<])")
_AT_LINE_START = re.compile(r"^(\s*)([>#-])", re.MULTILINE)
_HARMLESS = re.compile(
    r"""(
      https?://[\w.-]+(?::\d+)?(?:[/?\#][\w./?\#=&%+,;:()!'~-]*)?  # of an address what isn't formatted itself
    | <a?:\w{2,32}:\d{15,20}>  # custom emoji
    | <t:\d{1,13}(?::[a-zA-Z])?>  # times
    )""",
    re.VERBOSE,
)
"""What Discord shows better as it is: it takes a backslash in an address for a part of it."""
_SPOILER = re.compile(r"\|\|.+?\|\|", re.DOTALL)
_FILLED, _EMPTY = "▰", "▱"
_BAR_CELLS, _STEPS_CELLS = 12, 10
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def cut(text: str, chars: int) -> str:
    """Return at most `chars` characters of a text, with an ellipsis where it was cut."""
    return text if len(text) <= chars else text[: chars - 1].rstrip() + "…"


def escape(text: str) -> str:
    """Return a text with everything escaped that Discord would format, link or turn into a mention.

    `discord.utils.escape_markdown` misses the second of two masked links in a line, and everything in `<…>`.
    """
    escaped = _AT_LINE_START.sub(r"\1\\\2", _ANYWHERE.sub(r"\\\1", text))
    return discord.utils.escape_mentions(escaped)


def escape_keeping_links(text: str) -> str:
    """Return a text as `escape` does, but with its addresses, custom emoji and times as they are, to follow and see."""
    return "".join(part if n % 2 else escape(part) for n, part in enumerate(_HARMLESS.split(text)))


def has_spoiler(text: str) -> bool:
    """Say whether somebody hid a part of their text."""
    return _SPOILER.search(text) is not None


def spoiler(text: str) -> str:
    """Return a text as `escape_keeping_links` does, hidden as a whole until a reader wants to see it."""
    # The space before the bars keeps a sign at the text's end from being read as a part of them.
    return f"||{escape_keeping_links(text.replace('||', ''))} ||"


def quote(text: str, chars: int = QUOTE_CHARS) -> str:
    """Return somebody's text as one quoted line, cut to `chars` characters; hidden if a part of it was."""
    line = cut(" ".join(text.split()), chars)
    return "> " + (spoiler(line) if has_spoiler(text) else escape_keeping_links(line))


def bar(share: float) -> str:
    """Return a bar for a share from 0 to 1, exact to an eighth of a cell, for use inside code formatting."""
    eighths = round(min(max(share, 0.0), 1.0) * _BAR_CELLS * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(_BAR_CELLS)


def steps_bar(step: int, steps: int) -> str:
    """Return a progress bar."""
    filled = round(_STEPS_CELLS * step / steps) if steps else 0
    return _FILLED * filled + _EMPTY * (_STEPS_CELLS - filled)


def score_line(label: str, score: float) -> str:
    """Return one label with its bar and share."""
    return f"`{bar(score)}` `{score:>6.1%}` {escape(cut(label, 80))}"
