"""Leave out what Discord says in a way that discord.py can't read, instead of ending the connection for everybody."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from typing import Any

from bot.errors import one_line

log = logging.getLogger(__name__)
Parser = Callable[[Any], None]
_INDISPENSABLE = "READY"
_INTERACTION = "INTERACTION_CREATE"
_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)
_TEXT_CHANNEL = 0


def survive_odd_events(parsers: MutableMapping[str, Parser]) -> None:
    """Guard discord.py's parsers, by the names of their events: what one raises ends the client."""
    for name, parser in parsers.items():
        if name != _INDISPENSABLE:
            parsers[name] = partial(_parse, name, _in_any_channel(parser) if name == _INTERACTION else parser)


def _parse(name: str, parser: Parser, event: Any) -> None:
    try:
        parser(event)
    except _UNREADABLE as error:
        log.warning("an event of Discord can't be read and is left out: %s, %s", name, one_line(error))


def _in_any_channel(parser: Parser) -> Parser:
    """Let interactions be read that come from a kind of channel that can't be: all that we need of it is its id."""

    def parse(event: Mapping[str, Any]) -> None:
        try:
            parser(event)
        except _UNREADABLE:
            parser({**event, "channel": {"id": event["channel_id"], "type": _TEXT_CHANNEL, "name": "", "position": 0}})

    return parse
