"""Read what people see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord
from simcord import Env
from simcord.results import InteractionResult, ResponseMessage


def message(result: InteractionResult) -> ResponseMessage:
    """Return the message that answers an interaction."""
    assert result.response is not None, "there is no answer"
    return result.response


def embed(result: InteractionResult) -> discord.Embed:
    """Return the one embed of the message that answers an interaction."""
    (embed,) = message(result).embeds
    return embed


def description(result: InteractionResult) -> str:
    """Return the text of the answer's embed."""
    return embed(result).description or ""


def private_text(result: InteractionResult) -> str:
    """Return a private answer's text; fail when it is public or more than text."""
    assert result.ephemeral
    assert message(result).ephemeral
    assert not message(result).embeds
    return message(result).content


def public_text(result: InteractionResult) -> str:
    """Return a public answer's text; fail when it is private or more than text."""
    assert not result.ephemeral
    assert not message(result).embeds
    return message(result).content


def buttons(result: InteractionResult) -> list[str]:
    """Return the labels of the buttons below the answer."""
    return [button["label"] for row in message(result).components for button in row["components"]]


def edits(env: Env) -> list[Mapping[str, Any]]:
    """Return the bodies of all edits of original responses, in order."""
    return [entry.json or {} for entry in env.http_requests if entry.path.endswith("/messages/@original")]


def posts(env: Env) -> list[Mapping[str, Any]]:
    """Return the bodies of all messages that were posted with the bot's own token."""
    return [e.json or {} for e in env.http_requests if e.method == "POST" and e.path.endswith("/messages")]


def callbacks(env: Env) -> list[int]:
    """Return the types of all first responses: 4 is a message, 5 'thinking', 6 nothing yet, 8 choices."""
    return [entry.json["type"] for entry in env.http_requests if entry.json and entry.path.endswith("/callback")]


def commands(env: Env) -> list[list[Mapping[str, Any]]]:
    """Return the commands of each time that the bot registered them."""
    return [list(entry.json or ()) for entry in env.http_requests if entry.method == "PUT"]


def as_read(text: str) -> tuple[str, str]:
    """Return a text as people read it, and the characters in it that Discord takes for formatting.

    Discord shows a backslash before a letter, a digit or white space, and takes it as an escape before anything else.
    """
    shown, active, at_start = [], [], True
    characters = iter(text)
    for char in characters:
        if char == "\\":
            following = next(characters, "")
            escaped = following and not (following.isalnum() or following.isspace())
            shown.append(following if escaped else char + following)
            at_start = following == "\n"
            continue
        if char in "*_~|`[<" or (at_start and char in ">#-"):
            active.append(char)
        shown.append(char)
        at_start = char == "\n" or (at_start and char.isspace())
    return "".join(shown).replace("\u200b", ""), "".join(active)
