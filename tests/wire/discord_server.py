"""Be Discord for one bot: a gateway and the few REST routes that hubcord uses, on loopback.

What each route must answer, and the traps, is in discord.py's source: JSON must be exactly `application/json`, a
callback answers 200 with a body, READY names a resume address on this machine.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

APPLICATION, GUILD, CHANNEL, USER = 11, 22, 33, 44
_EPOCH_MS = 1_420_070_400_000
_numbers = itertools.count()
_PERSON = {"id": str(USER), "username": "alice", "discriminator": "0", "avatar": None, "global_name": "Alice"}
_SELF = {"id": str(APPLICATION), "username": "hubcord", "discriminator": "0", "avatar": None, "bot": True}


def snowflake() -> int:
    """Return an id made now, as `Interaction.expires_at` reads the time from it."""
    return (int(time.time() * 1000) - _EPOCH_MS) << 22 | next(_numbers) & 0x3FFFFF


@dataclass
class DiscordServer:
    """Hold what the bot did. `edits` are the bodies of edits by interaction token; `posts` the channel messages."""

    url: str = ""
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    commands: list[dict[str, Any]] = field(default_factory=list)
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    edits: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    posts: list[dict[str, Any]] = field(default_factory=list)
    trouble: list[int] = field(default_factory=list)
    away: bool = False
    _socket: web.WebSocketResponse | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def slash(self, name: str, **options: Any) -> str:
        """Let Alice use a command; return the interaction's token."""
        interaction = snowflake()
        token = f"token-{interaction}"
        command = next(c for c in self.commands if c["name"] == name and c.get("type", 1) == 1)
        kinds = {option["name"]: option["type"] for option in command["options"]}
        given = [{"name": key, "type": kinds[key], "value": value} for key, value in options.items()]
        await self._dispatch(
            "INTERACTION_CREATE",
            {
                "id": str(interaction), "application_id": str(APPLICATION), "type": 2, "token": token, "version": 1,
                "guild_id": str(GUILD), "guild": {"id": str(GUILD), "locale": "en-US", "features": []},
                "channel": {"id": str(CHANNEL), "type": 0, "name": "general", "position": 0},
                "channel_id": str(CHANNEL),
                "member": _member(), "locale": "en-US", "guild_locale": "en-US", "app_permissions": "52224",
                "entitlements": [], "authorizing_integration_owners": {"0": str(GUILD)}, "context": 0,
                "attachment_size_limit": 10_485_760,
                "data": {"id": "99", "name": name, "type": 1, "options": given},
            },
        )  # fmt: skip
        return token

    async def go_away(self) -> None:
        """Close the gateway's connection and refuse new ones."""
        self.away = True
        assert self._socket is not None
        await self._socket.close(code=1001)

    async def wait_for(self, condition: Any, timeout_s: float = 90.0) -> None:
        """Wait until something that the bot did makes the condition true."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    def answers(self, token: str) -> list[dict[str, Any]]:
        """Return the edits that carry an embed: the answers, not the progress."""
        return [edit for edit in self.edits.get(token, []) if edit.get("embeds")]

    async def _dispatch(self, event: str, data: dict[str, Any]) -> None:
        assert self._socket is not None
        await self._socket.send_json({"op": 0, "t": event, "s": 1, "d": data})

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def gateway(self, request: web.Request) -> web.WebSocketResponse:
        """Say hello, let the bot identify, and keep its heart beating."""
        if self.away:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": 30_000}})
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            op = json.loads(message.data)["op"]
            if op == 1:
                await socket.send_json({"op": 11})
            elif op == 2:
                self._socket = socket
                await self._welcome()
        return socket

    async def _welcome(self) -> None:
        await self._dispatch(
            "READY",
            {
                "v": 10, "user": _SELF, "guilds": [{"id": str(GUILD), "unavailable": True}], "session_id": "s",
                "resume_gateway_url": self.url.replace("http", "ws") + "/gateway", "shard": [0, 1],
                "application": {"id": str(APPLICATION), "flags": 0},
            },
        )  # fmt: skip
        await self._dispatch("GUILD_CREATE", _guild())
        self.connected.set()

    async def rest(self, request: web.Request) -> web.Response:
        """Answer a REST call and note what it did."""
        path, method = request.path.removeprefix("/api"), request.method
        body = await _body(request)
        if self.trouble and path.startswith(("/webhooks", "/channels")):
            return web.Response(status=self.trouble.pop(0), body=b"{}", content_type="application/json")
        status, answer = self._answer(method, path, body)
        await self._note()
        return web.Response(
            status=status, body=json.dumps(answer).encode(), headers={"Content-Type": "application/json"}
        )

    def _answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if path == "/users/@me":
            return 200, _SELF
        if path == "/oauth2/applications/@me":
            return 200, _application()
        if path == "/gateway/bot":
            limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
            return 200, {"url": self.url.replace("http", "ws") + "/gateway", "shards": 1, "session_start_limit": limit}
        if parts[0] == "applications" and method == "PUT":
            self.commands = [{"description": "", "id": "99", "application_id": "1", "version": "1"} | c for c in body]
            return 200, self.commands
        if parts[0] == "interactions":
            self.callbacks[parts[2]] = body
            return 200, {"interaction": {"id": parts[1], "type": 2, "response_message_id": "5"}}
        if parts[0] == "webhooks":
            self.edits.setdefault(parts[2], []).append(body)
            return 200, _message(body)
        if parts[0] == "channels":
            self.posts.append(body)
            return 200, _message(body)
        return 404, {"message": "Unknown", "code": 0}


async def _body(request: web.Request) -> Any:
    if request.content_type == "multipart/form-data":
        form = await request.post()
        files = [key for key in form if key.startswith("files[")]
        return json.loads(str(form["payload_json"])) | {"_files": len(files)}
    return await request.json() if request.can_read_body else None


def _member() -> dict[str, Any]:
    return {
        "user": _PERSON,
        "roles": [],
        "permissions": "2048",
        "joined_at": "2024-01-01T00:00:00+00:00",
        "deaf": False,
        "mute": False,
        "flags": 0,
    }


def _guild() -> dict[str, Any]:
    channel = {"id": str(CHANNEL), "type": 0, "name": "general", "position": 0, "permission_overwrites": []}
    everyone = {
        "id": str(GUILD),
        "name": "@everyone",
        "permissions": "52224",
        "position": 0,
        "color": 0,
        "hoist": False,
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }
    return {
        "id": str(GUILD),
        "name": "Guild",
        "owner_id": str(USER),
        "member_count": 2,
        "roles": [everyone],
        "channels": [channel],
        "members": [],
        "emojis": [],
        "stickers": [],
        "threads": [],
        "features": [],
        "preferred_locale": "en-US",
        "unavailable": False,
    }


def _application() -> dict[str, Any]:
    return {
        "id": str(APPLICATION),
        "name": "hubcord",
        "description": "",
        "icon": None,
        "summary": "",
        "verify_key": "",
        "bot_public": True,
        "bot_require_code_grant": False,
        "owner": _PERSON,
        "team": None,
        "flags": 0,
    }


def _message(body: Any) -> dict[str, Any]:
    return {
        "id": str(snowflake()),
        "channel_id": str(CHANNEL),
        "author": _SELF,
        "content": body.get("content") or "",
        "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "pinned": False,
        "type": 0,
    }


@asynccontextmanager
async def discord_server() -> AsyncIterator[DiscordServer]:
    """Serve until the block ends."""
    discord = DiscordServer()
    application = web.Application(client_max_size=30_000_000)
    application.router.add_get("/gateway", discord.gateway)
    application.router.add_route("*", "/api/{path:.*}", discord.rest)
    runner = web.AppRunner(application, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    discord.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield discord
    finally:
        await runner.cleanup()
