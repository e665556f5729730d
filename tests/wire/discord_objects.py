"""Build the objects that Discord sends, with no more in them than discord.py reads."""

from __future__ import annotations

import itertools
import time
from typing import Any

APPLICATION, GUILD, CHANNEL, USER = 11, 22, 33, 44
_EPOCH_MS = 1_420_070_400_000
_numbers = itertools.count()
SELF = {"id": str(APPLICATION), "username": "hubcord", "discriminator": "0", "avatar": None, "bot": True}
APPLICATION_INFO = {
    "id": str(APPLICATION), "name": "hubcord", "description": "", "icon": None, "summary": "", "verify_key": "",
    "bot_public": False, "bot_require_code_grant": False, "team": None, "flags": 0,
}  # fmt: skip
_EVERYONE = {
    "id": str(GUILD), "name": "@everyone", "permissions": "52224", "position": 0, "color": 0, "hoist": False,
    "managed": False, "mentionable": False, "flags": 0,
}  # fmt: skip
_CHANNEL = {"id": str(CHANNEL), "type": 0, "name": "general", "position": 0, "permission_overwrites": []}
GUILD_OBJECT = {
    "id": str(GUILD), "name": "Guild", "owner_id": str(USER), "member_count": 2, "roles": [_EVERYONE],
    "channels": [_CHANNEL], "members": [], "emojis": [], "stickers": [], "threads": [], "features": [],
    "preferred_locale": "en-US", "unavailable": False,
}  # fmt: skip


def snowflake() -> int:
    """Return an id made now, as `Interaction.expires_at` reads the time from it."""
    return (int(time.time() * 1000) - _EPOCH_MS) << 22 | next(_numbers) & 0x3FFFFF


def person(user: int) -> dict[str, Any]:
    """Return somebody."""
    return {"id": str(user), "username": f"person{user}", "discriminator": "0", "avatar": None, "global_name": "Alice"}


def application() -> dict[str, Any]:
    """Return the bot's application."""
    return {**APPLICATION_INFO, "owner": person(USER)}


def command_use(identity: int, token: str, user: int, data: dict[str, Any]) -> dict[str, Any]:
    """Return the interaction of a member who uses a command."""
    member = {
        "user": person(user), "roles": [], "permissions": "2048", "joined_at": "2024-01-01T00:00:00+00:00",
        "deaf": False, "mute": False, "flags": 0,
    }  # fmt: skip
    return {
        "id": str(identity), "application_id": str(APPLICATION), "type": 2, "token": token, "version": 1,
        "guild_id": str(GUILD), "guild": {"id": str(GUILD), "locale": "en-US", "features": []},
        "channel": {"id": str(CHANNEL), "type": 0, "name": "general", "position": 0}, "channel_id": str(CHANNEL),
        "member": member, "locale": "en-US", "guild_locale": "en-US", "app_permissions": "52224", "entitlements": [],
        "authorizing_integration_owners": {"0": str(GUILD)}, "context": 0, "attachment_size_limit": 10_485_760,
        "data": data,
    }  # fmt: skip


def message(identity: int, channel: int, body: dict[str, Any]) -> dict[str, Any]:
    """Return a message of the bot."""
    return {
        "id": str(identity), "channel_id": str(channel), "author": SELF, "content": body.get("content") or "",
        "timestamp": "2026-01-01T00:00:00+00:00", "edited_timestamp": None, "tts": False, "mention_everyone": False,
        "mentions": [], "mention_roles": [], "attachments": [], "embeds": [], "pinned": False, "type": 0,
    }  # fmt: skip
