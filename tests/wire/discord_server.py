"""Be Discord for one bot: a gateway and the few REST routes that hubcord uses, on loopback.

What each route must answer, and the traps, is in discord.py's source: JSON must be exactly `application/json`, a
callback answers 200 with a body, READY names a resume address on this machine.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.wire.conversations import Body, Conversations, Limits, RefusedByDiscord, is_final
from tests.wire.discord_objects import (
    GUILD,
    GUILD_OBJECT,
    SELF,
    USER,
    application,
    command_use,
    message,
    person,
)

Moment = tuple[str, str]
"""Name a moment of a request: "before" or "after" it took effect, and its kind, a key of `_ROUTES`."""
_ROUTES = {
    "callback": re.compile(r"POST /interactions/\d+/(?P<token>[^/]+)/callback"),
    "original": re.compile(r"PATCH /webhooks/\d+/(?P<token>[^/]+)/messages/@original"),
    "find": re.compile(r"GET /webhooks/\d+/(?P<token>[^/]+)/messages/@original"),
    "post": re.compile(r"POST /channels/(?P<channel>\d+)/messages"),
    "edit": re.compile(r"PATCH /channels/(?P<channel>\d+)/messages/(?P<id>\d+)"),
    "direct": re.compile(r"POST /users/@me/channels"),
    "commands": re.compile(r"PUT /applications/\d+/commands"),
    "registered": re.compile(r"GET /applications/\d+/commands"),
    "elsewhere": re.compile(r"GET /applications/\d+/guilds/\d+/commands"),
    "login": re.compile(r"GET /users/@me"),
    "application": re.compile(r"GET /oauth2/applications/@me"),
    "gateway": re.compile(r"GET /gateway/bot"),
}


@dataclass
class DiscordServer:
    """Hold what the bot did. `trouble` are statuses of coming requests about messages; `watch` hears of moments.

    `refuses` is of the token, `application` what is different about the bot's application.
    """

    url: str = ""
    said: Conversations = field(default_factory=Conversations)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    commands: list[Body] = field(default_factory=list)
    trouble: list[int] = field(default_factory=list)
    away: bool = False
    refuses: bool = False
    application: Body = field(default_factory=dict)
    watch: Callable[[Moment], None] = lambda _: None
    _socket: web.WebSocketResponse | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def slash(self, name: str, *, user: int = USER, token_s: float | None = None, **options: Any) -> str:
        """Let somebody use a command; return the interaction's token, which may work for `token_s` only."""
        command = next(c for c in self.commands if c["name"] == name and c.get("type", 1) == 1)
        kinds = {option["name"]: option["type"] for option in command["options"]}
        given = [{"name": key, "type": kinds[key], "value": value} for key, value in options.items()]
        data = {"id": "99", "name": name, "type": 1, "options": given}
        asked = self.said.ask(user, token_s)
        await self.dispatch("INTERACTION_CREATE", command_use(asked.id, asked.token, user, data))
        return asked.token

    async def go_away(self) -> None:
        """Close the gateway's connection and refuse new ones."""
        self.away = True
        assert self._socket is not None
        await self._socket.close(code=1001)

    async def wait_for(self, condition: Callable[[], Any], timeout_s: float = 90.0) -> None:
        """Wait until something that the bot did makes the condition true."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    def first(self, token: str) -> Body | None:
        """Return the first response to an interaction, if there was one."""
        return self.said.interactions[token].first

    def edits(self, token: str) -> list[Body]:
        """Return what the first response was changed to, in order."""
        return self.said.interactions[token].edits

    def answers(self, token: str) -> list[Body]:
        """Return the edits that are answers, not progress."""
        return [edit for edit in self.edits(token) if is_final(edit)]

    async def dispatch(self, event: str, data: Body) -> None:
        """Tell the bot of an event."""
        assert self._socket is not None
        await self._socket.send_json({"op": 0, "t": event, "s": 1, "d": data})

    async def gateway(self, request: web.Request) -> web.WebSocketResponse:
        """Say hello, let the bot identify, and keep its heart beating."""
        if self.away:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": 30_000}})
        async for received in socket:
            if received.type is not WSMsgType.TEXT:
                continue
            op = json.loads(received.data)["op"]
            if op == 1:
                await socket.send_json({"op": 11})
            elif op == 2:
                self._socket = socket
                await self._welcome()
        return socket

    async def _welcome(self) -> None:
        ready = {
            "v": 10, "user": SELF, "guilds": [{"id": str(GUILD), "unavailable": True}], "session_id": "s",
            "resume_gateway_url": self._gateway_url, "shard": [0, 1],
            "application": {"id": SELF["id"], "flags": 0},
        }  # fmt: skip
        await self.dispatch("READY", ready)
        await self.dispatch("GUILD_CREATE", GUILD_OBJECT)
        self.connected.set()

    @property
    def _gateway_url(self) -> str:
        return self.url.replace("http", "ws") + "/gateway"

    async def rest(self, request: web.Request) -> web.Response:
        """Answer a REST call, by its kind."""
        line = f"{request.method} {request.path.removeprefix('/api')}"
        kind, parts = next(((k, m) for k, route in _ROUTES.items() if (m := route.fullmatch(line))), ("", None))
        if self.trouble and kind in ("original", "post", "edit"):
            return _trouble(self.trouble.pop(0))
        body = await _body(request)
        self.watch(("before", kind))
        try:
            status, answer = 200, getattr(self, f"_{kind}")(**parts.groupdict(), body=body) if parts else None
        except RefusedByDiscord as error:
            status, answer = error.status, {"message": "refused", "code": error.code}
        self.watch(("after", kind))
        async with self._changed:
            self._changed.notify_all()
        return _json(status, answer) if parts else _json(404, {"message": "Unknown", "code": 0})

    def _callback(self, *, token: str, body: Body) -> Body:
        response = self.said.respond(token, body)
        identity = self.said.interactions[token].id
        return {"interaction": {"id": str(identity), "type": 2, "response_message_id": str(response.id)}}

    def _original(self, *, token: str, body: Body) -> Body:
        edited = self.said.edit_original(token, body)
        return message(edited.id, edited.channel, body)

    def _find(self, *, token: str, body: object) -> Body:  # noqa: ARG002
        found = self.said.original(token)
        return message(found.id, found.channel, {})

    def _post(self, *, channel: str, body: Body) -> Body:
        posted = self.said.post(int(channel), body)
        return message(posted.id, posted.channel, body)

    def _edit(self, *, channel: str, id: str, body: Body) -> Body:  # noqa: A002 - the route's own name
        return message(self.said.edit(int(id), body).id, int(channel), body)

    def _direct(self, *, body: Body) -> Body:
        return {"id": f"9{body['recipient_id']}", "type": 1, "recipients": [person(int(body["recipient_id"]))]}

    def _commands(self, *, body: Any) -> list[Body]:
        self.commands = [{"description": "", "id": "99", "application_id": "1", "version": "1"} | c for c in body]
        return self.commands

    def _registered(self, *, body: object) -> list[Body]:  # noqa: ARG002
        return self.commands

    def _elsewhere(self, *, body: object) -> None:  # noqa: ARG002
        raise RefusedByDiscord(403, 50001)

    def _login(self, *, body: object) -> Body:  # noqa: ARG002
        if self.refuses:
            raise RefusedByDiscord(401, 0)
        return SELF

    def _application(self, *, body: object) -> Body:  # noqa: ARG002
        return application() | self.application

    def _gateway(self, *, body: object) -> Body:  # noqa: ARG002
        limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
        return {"url": self._gateway_url, "shards": 1, "session_start_limit": limit}


async def _body(request: web.Request) -> Any:
    if request.content_type == "multipart/form-data":
        form = await request.post()
        files = [key for key in form if key.startswith("files[")]
        return json.loads(str(form["payload_json"])) | {"_files": len(files)}
    return await request.json() if request.can_read_body else None


def _json(status: int, answer: Any) -> web.Response:
    return web.Response(status=status, body=json.dumps(answer).encode(), headers={"Content-Type": "application/json"})


def _trouble(status: int) -> web.Response:
    """Fail; a rate limit names its wait, and the header by which discord.py knows it from a ban."""
    response = _json(status, {"message": "no", "code": 0, "retry_after": 0.2, "global": False})
    response.headers["Via"] = "1.1 google"
    return response


@asynccontextmanager
async def discord_server(limits: Limits | None = None) -> AsyncIterator[DiscordServer]:
    """Serve until the block ends."""
    discord = DiscordServer(said=Conversations(limits))
    pages = web.Application(client_max_size=30_000_000)
    pages.router.add_get("/gateway", discord.gateway)
    pages.router.add_route("*", "/api/{path:.*}", discord.rest)
    runner = web.AppRunner(pages, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    discord.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield discord
    finally:
        await runner.cleanup()
