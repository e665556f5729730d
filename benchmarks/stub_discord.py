"""Stand in for Discord in this process: interactions as the gateway sends them, and a session that answers requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import discord
from multidict import CIMultiDict

from bot.bot import Bot

APPLICATION = 1_000
GUILDS, MEMBERS = 50, 1_000
_ROUND_TRIP_S = 0.05
_NUMBER = (1 << 22) - 1
"""The bits of an interaction's id that aren't its time."""
_CHANNEL, _MESSAGE, _PLAYER = 10_000, 20_000, 30_000


class OfflineBot(Bot):
    """Be the whole bot, without a gateway: what arrives is handed in by `receive`."""

    async def connect_to(self, session: StubSession) -> None:
        """Load the cogs as after a login, send requests to the stub, and join the guilds."""
        self.http._HTTPClient__session = session  # type: ignore[attr-defined]  # noqa: SLF001
        self._connection.application_id = APPLICATION
        self._connection.user = discord.ClientUser(state=self._connection, data=_user(APPLICATION))
        await self.setup_hook()
        for guild in range(GUILDS):
            self.receive(json.dumps({"t": "GUILD_CREATE", "d": _guild(guild)}))

    async def sync_if_changed(self) -> bool:
        """Register nothing."""
        return False

    def receive(self, text: str) -> None:
        """Take one message of the gateway, as discord.py does once it is decompressed."""
        message = discord.utils._from_json(text)  # noqa: SLF001
        self._connection.parsers[message["t"]](message["d"])


@dataclass(slots=True)
class StubSession:
    """Answer every request of discord.py after a network's round trip.

    `answered_at` is when the first answer to each interaction left, by its number, as `clock` tells; `kinds` what it
    was: 4 is a message, 5 the promise of one. `edits` counts edits of answers.
    """

    clock: Callable[[], tuple[float, ...]]
    answered_at: dict[int, tuple[float, ...]] = field(default_factory=dict)
    kinds: dict[int, int] = field(default_factory=dict)
    edits: int = 0

    @contextlib.asynccontextmanager
    async def request(self, _method: str, url: str, **options: Any) -> AsyncIterator[_Response]:
        """Note when and what was sent."""
        path = url.partition("/interactions/")[2]
        if path.endswith("/callback"):
            number = int(path.partition("/")[0]) & _NUMBER
            self.answered_at[number] = self.clock()
            self.kinds[number] = json.loads(options["data"])["type"]
            body: dict[str, object] = {
                "interaction": {"id": str(number), "type": 2, "response_message_id": str(_MESSAGE + number)}
            }
        else:
            self.edits += 1
            body = {"id": str(_MESSAGE)}
        await asyncio.sleep(_ROUND_TRIP_S)
        yield _Response(json.dumps(body))

    async def close(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class _Response:
    body: str
    status: int = 200
    reason: str = "OK"
    headers: CIMultiDict[str] = field(default_factory=lambda: CIMultiDict({"Content-Type": "application/json"}))

    async def text(self, **_: Any) -> str:
        """Return the body."""
        return self.body


def slash_command(number: int, name: str, options: dict[str, str | int]) -> str:
    """Return what the gateway sends when somebody uses a command; the member and guild follow from the number."""
    guild, member = 1 + number % GUILDS, _PLAYER + number % MEMBERS
    now = discord.utils.time_snowflake(discord.utils.utcnow())
    command = {
        "id": "1", "name": name, "type": 1,
        "options": [
            {"name": key, "type": 3 if isinstance(value, str) else 4, "value": value} for key, value in options.items()
        ],
    }  # fmt: skip
    data = {
        "id": str(now + number), "application_id": str(APPLICATION), "type": 2, "version": 1,
        "token": f"token-{number}",
        "data": command, "guild_id": str(guild), "channel_id": str(_CHANNEL + guild), "channel": _channel(guild),
        "locale": "en-US", "guild_locale": "en-US", "context": 0, "app_permissions": "2147483647",
        "attachment_size_limit": 10_485_760, "entitlements": [], "authorizing_integration_owners": {"0": str(guild)},
        "member": {"user": _user(member), "roles": [], "joined_at": "2026-01-01T00:00:00+00:00", "deaf": False,
                   "mute": False, "flags": 0, "permissions": "2147483647"},
    }  # fmt: skip
    return json.dumps({"op": 0, "t": "INTERACTION_CREATE", "s": number, "d": data})


def _guild(number: int) -> dict[str, Any]:
    everyone = {
        "id": str(1 + number), "name": "@everyone", "color": 0, "hoist": False, "position": 0,
        "permissions": "2147483647", "managed": False, "mentionable": False, "flags": 0,
    }  # fmt: skip
    return {
        "id": str(1 + number), "name": f"Guild {number}", "owner_id": "1", "member_count": MEMBERS,
        "roles": [everyone], "channels": [_channel(1 + number)], "members": [], "threads": [], "emojis": [],
        "features": [], "voice_states": [], "presences": [], "stickers": [], "guild_scheduled_events": [],
        "stage_instances": [], "soundboard_sounds": [], "verification_level": 0, "mfa_level": 0, "nsfw_level": 0,
        "premium_tier": 0, "explicit_content_filter": 0, "default_message_notifications": 0, "system_channel_flags": 0,
        "preferred_locale": "en-US", "afk_timeout": 300,
    }  # fmt: skip


def _user(number: int) -> Any:
    return {"id": str(number), "username": f"user{number}", "discriminator": "0", "avatar": None, "global_name": None}


def _channel(guild: int) -> dict[str, Any]:
    return {
        "id": str(_CHANNEL + guild), "guild_id": str(guild), "type": 0, "name": "general", "position": 0,
        "permission_overwrites": [], "permissions": "2147483647", "nsfw": False, "parent_id": None,
    }  # fmt: skip
