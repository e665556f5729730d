"""Keep SimCord's preview page live: it shows by itself what the bot does, and takes actions at any time.

The page only shows what was published. It refuses an action that was begun on an older publication, and breaks when an
action meets a publication half way. So here they take turns, and an action counts as begun on the newest publication.
For that `Preview._action` is wrapped: SimCord has no public way, and its version is pinned.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

import simcord
from simcord import Env, Preview

log = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.25
_REVISION = "published_revision"


class LivePage:
    """Publish soon after each request of the bot to Discord, as long as this is entered."""

    def __init__(self, env: Env, preview: Preview) -> None:
        self._env = env
        self._preview = preview
        self._act = preview._action  # noqa: SLF001
        self._turn = asyncio.Lock()
        self._requests_seen = 0
        self._publishing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._preview._action = self._act_in_turn  # type: ignore[method-assign]  # noqa: SLF001
        self._publishing = asyncio.create_task(self._keep_publishing(), name="publish")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.gather(self._publishing, return_exceptions=True)

    async def _keep_publishing(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if len(self._env.http_requests) != self._requests_seen:
                await self._publish()

    async def _publish(self) -> None:
        async with self._turn:
            self._requests_seen = len(self._env.http_requests)
            try:
                await self._preview.refresh()
            except (TimeoutError, simcord.SetupError) as error:
                log.warning("the page isn't up to date: %s", error)

    async def _act_in_turn(self, context_id: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
        async with self._turn:
            await set_clock(self._env)
            page = self._preview._get_page(context_id)  # noqa: SLF001
            newest = {_REVISION: page.revision} if _REVISION in body else {}
            receipt = await self._act(context_id, {**body, **newest})
            if body.get("kind") == "run_command":
                self._go_to(page, receipt)
            return receipt

    def _go_to(self, page: Any, receipt: Mapping[str, Any]) -> None:
        """Let the page scroll to what a command answered; it then follows what is added below."""
        for outcome in receipt.get("outcomes", ()):
            if outcome.get("messageId"):
                page.target_id = int(outcome["messageId"])
        self._requests_seen = 0


async def set_clock(env: Env) -> None:
    """Bring the simulation's clock, which stands still by itself, to the present."""
    behind_s = (datetime.now(UTC) - env.now()).total_seconds()
    await env.advance_time(max(behind_s, 0.0))
