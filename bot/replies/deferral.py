"""Tell Discord in time that an answer will come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import aiohttp
import discord

from bot.client.readable import readable
from bot.tasks.base import Request

_ACKNOWLEDGED = 40060
"""Discord says that the interaction was answered: the first try arrived, and only its confirmation was lost."""
_READ_BEFORE_DEFER_S = 1.5


class Deferral:
    """Show once that the bot is thinking. `message_id` is where, once that is known."""

    def __init__(self, interaction: discord.Interaction[Any], *, private: bool) -> None:
        self.message_id: int | None = None
        self._interaction = interaction
        self._private = private

    async def send(self) -> None:
        """Defer, unless that was done. What gets lost on the way is sent once more."""
        try:
            await self._send()
        except (aiohttp.ClientError, OSError):
            await self._send()

    async def _send(self) -> None:
        if self._interaction.response.is_done():
            return
        try:
            with readable():
                response = await self._interaction.response.defer(ephemeral=self._private, thinking=True)
            self.message_id = response.message_id if response else None
        except discord.HTTPException as error:
            if error.code != _ACKNOWLEDGED:
                raise

    async def bridge(self, request: Awaitable[Request]) -> Request:
        """Await a request; defer when it isn't there well within Discord's three seconds."""
        building = asyncio.ensure_future(request)
        try:
            await asyncio.wait([building], timeout=_READ_BEFORE_DEFER_S)
            if not building.done():
                await self.send()
            return await building
        finally:
            building.cancel()  # nobody waits for it any more
