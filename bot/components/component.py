"""Treat what is clicked below a message like a command."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import discord

from bot.client.tree import reply_with_error


class Component(ABC):
    """Take clicks each once, from whom the bot serves, in their language, with errors told in the one place for it.

    Mixed into discord.py's dynamic items.
    """

    @abstractmethod
    async def on_click(self, interaction: discord.Interaction[Any]) -> None:
        """Do what the component is for; raise UserError while nothing was sent."""

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Say whether the bot serves this click."""
        return bool(await interaction.client.tree.interaction_check(interaction))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Take a click."""
        try:
            await self.on_click(interaction)
        except Exception as error:  # noqa: BLE001 - like the command tree
            await reply_with_error(interaction, error)
