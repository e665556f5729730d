"""Add /models list and /models info."""

from __future__ import annotations

import asyncio

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.errors import BadInput
from bot.inference.cards import local_card
from bot.inference.reference import parse_reference
from bot.views.model_card import card_embed, models_embed
from bot.views.models import matching


class Models(commands.GroupCog, group_name="models", group_description="See the models of this bot"):
    """Show the configured models."""

    def __init__(self, bot: Bot) -> None:
        super().__init__()
        self._references = {task: settings.references for task, settings in bot.settings.offered.items()}
        models = (reference for references in self._references.values() for reference in references)
        self._by_name = {parse_reference(reference).short_name: reference for reference in models}

    @app_commands.command(name="list")
    async def list_models(self, interaction: discord.Interaction[Bot]) -> None:
        """Show the models of each command."""
        await interaction.response.send_message(embed=models_embed(self._references), ephemeral=True)

    @app_commands.command()
    @app_commands.describe(model="The model to read about")
    async def info(self, interaction: discord.Interaction[Bot], model: str) -> None:
        """Show a model's card: licence, use and limits."""
        reference = self._by_name.get(model)
        if reference is None:
            known = ", ".join(self._by_name)
            raise BadInput("There is no model “{name}” here. Choose one of: {known}.", name=model[:100], known=known)
        await interaction.response.defer(ephemeral=True, thinking=True)
        card = await asyncio.to_thread(local_card, reference)
        await interaction.edit_original_response(embed=card_embed(card))

    @info.autocomplete("model")
    async def _models(self, _interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return matching(((name, name) for name in self._by_name), typed)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Models(bot))
