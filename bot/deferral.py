"""Tell Discord in time that an answer will come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import discord

from bot.inference.pipeline import Request

_READ_BEFORE_DEFER_S = 1.5


class Deferral:
    """Show once that the bot is thinking. `message_id` is where, once that is known."""

    def __init__(self, interaction: discord.Interaction[Any], *, private: bool) -> None:
        self.message_id: int | None = None
        self._interaction = interaction
        self._private = private

    async def send(self) -> None:
        """Defer, unless that was done."""
        if not self._interaction.response.is_done():
            response = await self._interaction.response.defer(ephemeral=self._private, thinking=True)
            self.message_id = response.message_id if response else None

    async def bridge(self, request: Awaitable[Request]) -> Request:
        """Await a request; defer when it isn't there well within Discord's three seconds."""
        building = asyncio.ensure_future(request)
        await asyncio.wait([building], timeout=_READ_BEFORE_DEFER_S)
        if not building.done():
            await self.send()
        return await building
