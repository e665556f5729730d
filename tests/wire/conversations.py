"""Remember what was asked and said, and refuse what Discord refuses."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from tests.wire.discord_objects import CHANNEL, snowflake

Body = dict[str, Any]
_MESSAGE = 4
POINTER = "The answer is here: "


class RefusedByDiscord(Exception):
    """Tell a status and one of Discord's error codes."""

    def __init__(self, status: int, code: int) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


@dataclass
class Limits:
    """Say for how many seconds an interaction waits, its token works, and a nonce is remembered."""

    acknowledge_s: float = 3.0
    token_s: float = 900.0
    nonce_s: float = 120.0


@dataclass
class Message:
    """Hold what a message said, from the first body to the last."""

    id: int
    channel: int
    bodies: list[Body] = field(default_factory=list)
    gone: bool = False


@dataclass
class Interaction:
    """Hold one use of a command. `first` is the bot's first response, `edits` what it made of it later.

    `token_s` is for how long its token works, if not for as long as others.
    """

    id: int
    token: str
    user: int
    token_s: float | None = None
    asked_at: float = field(default_factory=time.monotonic)
    first: Body | None = None
    message: Message | None = None
    edits: list[Body] = field(default_factory=list)

    @property
    def age_s(self) -> float:
        """Return how long ago it was."""
        return time.monotonic() - self.asked_at

    @property
    def refused(self) -> bool:
        """Say whether the first response was a message already."""
        return self.first is not None and self.first["type"] == _MESSAGE


class Conversations:
    """Keep all interactions and messages."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.interactions: dict[str, Interaction] = {}
        self.messages: dict[int, Message] = {}
        self.posted: list[Message] = []
        self._nonces: dict[str, tuple[float, Message]] = {}

    def ask(self, user: int, token_s: float | None = None) -> Interaction:
        """Begin an interaction."""
        identity = snowflake()
        interaction = Interaction(identity, f"token-{identity}", user, token_s)
        self.interactions[interaction.token] = interaction
        return interaction

    def respond(self, token: str, body: Body) -> Message:
        """Take the first response: in time, and only one."""
        interaction = self.interactions.get(token)
        if interaction is None:
            raise RefusedByDiscord(404, 10062)
        if interaction.first is not None:
            raise RefusedByDiscord(400, 40060)
        if interaction.age_s > self.limits.acknowledge_s:
            raise RefusedByDiscord(404, 10062)
        interaction.first = body
        interaction.message = self._new(CHANNEL, body.get("data") or {})
        return interaction.message

    def original(self, token: str) -> Message:
        """Return the response: after the first one, and as long as the token works."""
        interaction = self.interactions.get(token)
        if interaction is None or interaction.message is None:
            raise RefusedByDiscord(404, 10015)
        if interaction.age_s > (interaction.token_s or self.limits.token_s):
            raise RefusedByDiscord(401, 50027)
        return interaction.message

    def edit_original(self, token: str, body: Body) -> Message:
        """Change the response."""
        message = self.original(token)
        self._say(message, body)
        self.interactions[token].edits.append(body)
        return message

    def post(self, channel: int, body: Body) -> Message:
        """Take a message of the bot, or return the one that has its nonce."""
        nonce = str(body["nonce"]) if body.get("enforce_nonce") else None
        if nonce is not None and nonce in self._nonces:
            posted_at, before = self._nonces[nonce]
            if time.monotonic() - posted_at < self.limits.nonce_s:
                return before
        message = self._new(channel, body)
        self.posted.append(message)
        if nonce is not None:
            self._nonces[nonce] = (time.monotonic(), message)
        return message

    def edit(self, identity: int, body: Body) -> Message:
        """Change a message with the bot's token."""
        message = self.messages.get(identity)
        if message is None:
            raise RefusedByDiscord(404, 10008)
        self._say(message, body)
        return message

    def answers(self, interaction: Interaction) -> int:
        """Return how many messages answered an interaction, wherever they are."""
        own = interaction.message.bodies[1:] if interaction.message is not None else []
        answered = any(is_final(body) and POINTER not in (body.get("content") or "") for body in own)
        return answered + sum(len(message.bodies) > 1 for message in self.late(interaction))

    def late(self, interaction: Interaction) -> list[Message]:
        """Return the messages that the bot posted for the person who asked. Everybody asks once only."""
        mention = f"<@{interaction.user}>"
        return [message for message in self.posted if mention in (message.bodies[0].get("content") or "")]

    def _new(self, channel: int, body: Body) -> Message:
        message = Message(snowflake(), channel, [body])
        self.messages[message.id] = message
        return message

    def _say(self, message: Message, body: Body) -> None:
        if message.gone:
            raise RefusedByDiscord(404, 10008)
        message.bodies.append(body)


def is_final(body: Body) -> bool:
    """Say whether an edit is an answer: progress has a button."""
    return not body.get("components")
