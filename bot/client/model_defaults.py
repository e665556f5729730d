"""Remember what model a command uses in a server, a category or a channel when none is named."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import discord

from bot.errors import BadInput
from bot.store.base import Store
from bot.tasks.settings import ModelSettings, TaskSettings

_KEPT = "default models"


class ModelDefaults:
    """Hold the defaults of all places; what the configuration doesn't offer any more is dropped.

    Commands whose model goes by something else than its name, like the languages of /translate, have none.
    """

    def __init__(self, store: Store, tasks: Mapping[str, TaskSettings]) -> None:
        self._store = store
        self._tasks = {name: settings for name, settings in tasks.items() if isinstance(settings, ModelSettings)}
        self._places: dict[str, dict[str, str]] = {}

    @property
    def tasks(self) -> Collection[str]:
        """Return the commands that may have defaults."""
        return self._tasks.keys()

    async def load(self) -> None:
        """Read what was kept; raise UserError when the store can't be read."""
        kept: dict[str, dict[str, str]] = await self._store.get_value(_KEPT) or {}
        offered = {place: self._offered(models) for place, models in kept.items()}
        self._places = {place: models for place, models in offered.items() if models}
        if self._places != kept:
            self._store.set_value(_KEPT, self._places)

    def choose(self, interaction: discord.Interaction[Any], task: str, model: str | None) -> str:
        """Return the reference of the model that a person named, else of the default here; raise BadInput."""
        return self._tasks[task].choose(model or self._nearest(interaction, task))

    def here(self, interaction: discord.Interaction[Any], task: str) -> str | None:
        """Return the reference of a command's default here; None for a command that has none."""
        return self.choose(interaction, task, None) if task in self._tasks else None

    def set(self, place: discord.abc.Snowflake, task: str, model: str | None) -> None:
        """Let a command use a model in a server or channel, or none of its own; raise BadInput."""
        if task not in self._tasks:
            raise BadInput("There is no command “{name}” here whose model can be chosen.", name=task[:50])
        models = self._places.setdefault(_key(place), {})
        if model is None:
            models.pop(task, None)
        else:
            models[task] = self._without_more(task, self._tasks[task].choose(model))
        self._places = {key: models for key, models in self._places.items() if models}
        self._store.set_value(_KEPT, self._places)

    def _without_more(self, task: str, reference: str) -> str:
        """Return a model that needs nothing but what every use of the command gives; raise BadInput for others."""
        if reference not in self._tasks[task].models:
            raise BadInput("This model needs labels with each picture, so it can't be what is used without a choice.")
        return reference

    def _offered(self, models: Mapping[str, str]) -> dict[str, str]:
        return {t: model for t, model in models.items() if t in self._tasks and model in self._tasks[t].models}

    def _nearest(self, interaction: discord.Interaction[Any], task: str) -> str | None:
        found = (self._places.get(place, {}).get(task) for place in _places(interaction))
        return next(filter(None, found), None)


def _key(place: discord.abc.Snowflake) -> str:
    """Return what a place is kept under: a server's first channel may have the server's id."""
    return f"{'server' if isinstance(place, discord.Guild) else 'channel'} {place.id}"


def _places(interaction: discord.Interaction[Any]) -> Iterator[str]:
    """Yield where an interaction happens, the nearest first: thread, channel, category, server."""
    channel = interaction.channel
    yield f"channel {interaction.channel_id}"
    if isinstance(channel, discord.Thread):
        yield f"channel {channel.parent_id}"
        channel = channel.parent
    yield f"channel {getattr(channel, 'category_id', None)}"
    yield f"server {interaction.guild_id}"
