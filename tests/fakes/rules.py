"""Know Discord's rules that neither its OpenAPI description nor SimCord checks, and the bot's own rule on pings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simcord.types import HttpLogEntry

Body = Mapping[str, Any]
_NAME = re.compile(r"[-_\w]{1,32}")
_CHAT_INPUT, _MESSAGE = 1, 3
_MOST_MENUS = 5  # discord.py 2.7.1 takes no more, though Discord does
_EMBED_CHARS, _COMMAND_CHARS, _ALT_CHARS = 6_000, 8_000, 1_024
_ANSWERS_WITH_MESSAGE = (4, 7)


def problems(entry: HttpLogEntry) -> Iterator[str]:
    """Yield what is wrong with a request of the bot."""
    if entry.method == "PUT" and entry.path.endswith("/commands"):
        yield from command_problems(entry.json or ())
        return
    message = message_of(entry)
    if message is not None:
        yield from message_problems(message)


def message_of(entry: HttpLogEntry) -> Body | None:
    """Return the message that a request creates or edits, if it does."""
    if entry.method not in ("POST", "PATCH") or not isinstance(entry.json, Mapping):
        return None
    if entry.path.endswith("/callback"):
        return entry.json["data"] if entry.json["type"] in _ANSWERS_WITH_MESSAGE else None
    is_message = entry.path.endswith(("/messages", "/@original")) or entry.path.startswith("/webhooks/")
    return entry.json if is_message else None


def command_problems(commands: Sequence[Body]) -> Iterator[str]:
    """Yield what is wrong with commands that are registered."""
    kinds = Counter(command["type"] for command in commands)
    if any(count > _MOST_MENUS for kind, count in kinds.items() if kind != _CHAT_INPUT):
        yield "too many context menus"
    for (_, name), count in Counter((command["type"], command["name"]) for command in commands).items():
        if count > 1:
            yield f"{name}: registered {count} times"
    for command in commands:
        yield from (f"{command['name']}: {problem}" for problem in _one_command(command))


def _one_command(command: Body) -> Iterator[str]:
    if command["type"] != _CHAT_INPUT:
        if not 1 <= len(command["name"]) <= 32:
            yield "the name has not 1 to 32 characters"
        if command.get("description") or command.get("options"):
            yield "a menu has neither description nor options"
        return
    yield from _named_and_described(command)
    options = command.get("options", [])
    required = [bool(option.get("required")) for option in options]
    if required != sorted(required, reverse=True):
        yield "a required option comes after an optional one"
    if len({option["name"] for option in options}) < len(options):
        yield "two options have one name"
    for option in options:
        yield from (f"{option['name']}: {problem}" for problem in _option(option))
    if _chars(command) + sum(map(_chars, options)) > _COMMAND_CHARS:
        yield f"more than {_COMMAND_CHARS} characters in all"


def _option(option: Body) -> Iterator[str]:
    yield from _named_and_described(option)
    choices = option.get("choices") or []
    if choices and option.get("autocomplete"):
        yield "choices and autocomplete exclude each other"
    if any(isinstance(choice["value"], str) and len(choice["value"]) > 100 for choice in choices):
        yield "the value of a choice has more than 100 characters"
    for low, high in (("min_value", "max_value"), ("min_length", "max_length")):
        if option.get(low) is not None and option.get(high) is not None and option[low] > option[high]:
            yield f"{low} is above {high}"


def _named_and_described(thing: Body) -> Iterator[str]:
    if not _NAME.fullmatch(thing["name"]) or thing["name"] != thing["name"].lower():
        yield "the name isn't allowed"
    if not 1 <= len(thing.get("description", "")) <= 100:
        yield "the description has not 1 to 100 characters"
    if thing.get("description", "").endswith("…"):
        yield "the description is longer than 100 characters, and discord.py cut it"


def _chars(thing: Body) -> int:
    return len(thing["name"]) + len(thing.get("description", ""))


def message_problems(message: Body) -> Iterator[str]:
    """Yield what is wrong with a message."""
    embeds = message.get("embeds") or []
    if sum(map(_embed_chars, embeds)) > _EMBED_CHARS:
        yield f"the embeds have more than {_EMBED_CHARS} characters in all"
    if any(not field["value"] or not field["name"] for embed in embeds for field in embed.get("fields", [])):
        yield "a field of an embed is empty"
    if any(len(file.get("description") or "") > _ALT_CHARS for file in message.get("attachments") or []):
        yield f"an alt text has more than {_ALT_CHARS} characters"
    ids = [button["custom_id"] for row in message.get("components") or [] for button in row["components"]]
    if len(set(ids)) < len(ids):
        yield "two components have one custom_id"
    mentions = message.get("allowed_mentions")
    if mentions is None or mentions.get("parse") or mentions.get("roles"):
        yield f"the message could ping people: {mentions}"


def _embed_chars(embed: Body) -> int:
    fields = embed.get("fields", [])
    return (
        len(embed.get("title") or "")
        + len(embed.get("description") or "")
        + len(embed.get("footer", {}).get("text") or "")
        + len(embed.get("author", {}).get("name") or "")
        + sum(len(field["name"]) + len(field["value"]) for field in fields)
    )
