"""Add /models: list, info, default and pull."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.components.autocomplete import matching, model_choices
from bot.components.download_message import PullMessage
from bot.components.model_card import card_embed
from bot.components.model_list import ListedAdapter, models_embed
from bot.errors import BadInput, UserError, join_names
from bot.hub.cards import local_card
from bot.hub.reference import parse_reference
from bot.hub.resolve import is_here
from bot.i18n.texts import gettext as _
from bot.ui.markdown import escape

Place = app_commands.AppCommandChannel | app_commands.AppCommandThread


class AnyPlace(app_commands.Transformer[Any]):
    """Take any channel, category or thread; discord.py's own types name one that Discord's description doesn't know."""

    @property
    def type(self) -> discord.AppCommandOptionType:
        """Return what Discord lets people choose."""
        return discord.AppCommandOptionType.channel

    async def transform(self, _interaction: discord.Interaction[Any], value: Place, /) -> Place:
        """Return the place as it is."""
        return value


class Models(commands.GroupCog, group_name="models", group_description="See and choose the models of this bot."):
    """Show the configured models, choose among them, and fetch them."""

    def __init__(self, bot: Bot) -> None:
        super().__init__()
        self._bot = bot
        self._references = {task: settings.references for task, settings in bot.settings.offered.items()}
        models = (reference for references in self._references.values() for reference in references)
        self._by_name = {parse_reference(reference).short_name: reference for reference in models}
        self._adapters = {name: a for task in bot.settings.offered.values() for name, a in task.adapters.items()}
        self._all = self._adapters | self._by_name

    @app_commands.command(name="list")
    async def list_models(self, interaction: discord.Interaction[Bot]) -> None:
        """Show the models of each command, and which are ready."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        here = await asyncio.to_thread(_look, [*self._by_name.values(), *self._adapters.values()])
        embed = models_embed(
            self._references,
            defaults={task: self._bot.model_defaults.here(interaction, task) for task in self._references},
            now={**self._bot.downloads.shares, **self._bot.engine.models},
            missing=[reference for reference, found in here.items() if not found],
            adapters=await asyncio.to_thread(self._listed_adapters),
        )
        await interaction.edit_original_response(embed=embed)

    @app_commands.command()
    @app_commands.describe(model="The model or adapter to read about")
    async def info(self, interaction: discord.Interaction[Bot], model: str) -> None:
        """Show the card of a model or adapter: licence, use and limits."""
        reference = self._named(model)
        await interaction.response.defer(ephemeral=True, thinking=True)
        card = await asyncio.to_thread(local_card, reference)
        await interaction.edit_original_response(embed=card_embed(card))

    @info.autocomplete("model")
    async def _models(self, _interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return matching(self._shown(), typed)

    @app_commands.command(name="default")
    @app_commands.rename(task="command")
    @app_commands.describe(
        task="The command",
        model="What it uses when no model is named; left out: no choice of its own here any more",
        channel="Where: in a channel, thread or category; in the whole server when left out",
    )
    async def choose_default(
        self,
        interaction: discord.Interaction[Bot],
        task: str,
        model: str | None = None,
        channel: app_commands.Transform[Place, AnyPlace] | None = None,
    ) -> None:
        """Choose the model that a command uses here when none is named. For moderators."""
        if interaction.guild is None or not interaction.permissions.manage_guild:
            raise UserError("Only members who may manage the server can choose its models.")
        self._bot.model_defaults.set(channel or interaction.guild, task, model)
        where = channel.mention if channel else _("this server")
        if model is None:
            text = _("/{task} has no default of its own in {where} any more.", task=task, where=where)
        else:
            text = _(
                "/{task} uses {model} in {where} when no model is named.", task=task, model=escape(model), where=where
            )
        await interaction.response.send_message(text, ephemeral=True)

    @choose_default.autocomplete("model")
    async def _defaults(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        task = interaction.namespace.command
        return model_choices(interaction, task, typed) if task in self._bot.model_defaults.tasks else []

    @choose_default.autocomplete("task")
    async def _commands(self, _interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return matching(((f"/{task}", task) for task in self._bot.model_defaults.tasks), typed)

    @app_commands.command()
    @app_commands.describe(model="The model or adapter to fetch; all that are missing when left out")
    async def pull(self, interaction: discord.Interaction[Bot], model: str | None = None) -> None:
        """Fetch models ahead of time. For the owner of this bot."""
        if not await self._bot.is_owner(interaction.user):
            raise UserError("Only the owner of this bot can fetch models.")
        named = [self._named(model)] if model else None
        await interaction.response.defer(ephemeral=True, thinking=True)
        references = named or await asyncio.to_thread(self._missing)
        if not references:
            raise UserError("All models are here.")
        await PullMessage(interaction).fetch(references)

    @pull.autocomplete("model")
    async def _pullable(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        if not await self._bot.is_owner(interaction.user):
            return []
        missing = await asyncio.to_thread(self._missing)
        return matching(((shown, name) for shown, name in self._shown() if self._all[name] in missing), typed)

    def _shown(self) -> list[tuple[str, str]]:
        """Return what people see of each model and adapter, and its name."""
        adapters = ((_("{name} · adapter", name=name), name) for name in self._adapters if name not in self._by_name)
        return [*((name, name) for name in self._by_name), *adapters]

    def _named(self, model: str) -> str:
        reference = self._all.get(model)
        if reference is None:
            raise BadInput(
                "There is no model “{name}” here. Choose one of: {known}.",
                name=model[:100],
                known=join_names(self._all),
            )
        return reference

    def _missing(self) -> list[str]:
        """Return the models and adapters that may have to be fetched."""
        here = _look([*self._by_name.values(), *self._adapters.values()])
        return [reference for reference, found in here.items() if not found]

    def _listed_adapters(self) -> dict[str, list[ListedAdapter]]:
        """Return the adapters of each task with the models that they are for. Files are read."""
        return {
            task: [ListedAdapter(name, self._adapters[name], m) for name, m in settings.models_of_adapters().items()]
            for task, settings in self._bot.settings.offered.items()
        }


def _look(references: Iterable[str]) -> dict[str, bool]:
    """Return of each model or adapter whether it is on this machine."""
    return {reference: is_here(reference) for reference in references}


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Models(bot))
