"""Define the bot: discord.py's client with an engine, settings and every cog."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import pkgutil
from collections.abc import Collection, Sequence
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

import cogs
from bot.client.event_guard import survive_odd_events
from bot.client.model_defaults import ModelDefaults
from bot.client.owner_alerts import OwnerAlerts, owners_of
from bot.client.readable import readable
from bot.client.tree import NETWORK_ERRORS, Tree, reply_with_error
from bot.components.cancel_button import CANCEL_IDS, CancelButton
from bot.components.download_message import PULL_IDS, StopButton
from bot.components.job_menu import MENU_IDS, JobMenu
from bot.config import Settings
from bot.engine.engine import Engine
from bot.engine.job import Job
from bot.errors import UserError
from bot.hub.download.pulls import Pulls
from bot.i18n.command_names import CommandTexts
from bot.machine.background import BackgroundTasks
from bot.replies.pacing import Pacing
from bot.replies.service import Replies

log = logging.getLogger(__name__)
_SYNC_S = 20.0
"""How long the start waits for that. Where 200 commands were made in a day, Discord asks to wait until the next one."""
_SYNCED, _PLACES = "synced commands", "synced places"
_CLICKS = (discord.InteractionType.component, discord.InteractionType.modal_submit)
_EVERYWHERE = 0
"""Stands for all guilds and direct messages among the places where commands are registered."""


class Bot(commands.AutoShardedBot):
    """Serve Discord.

    `engine` is started and closed by whoever makes the bot; its store remembers what was registered with Discord.
    `unanswered` are the jobs of the last run that still need an answer.
    """

    tree: Tree

    def __init__(
        self,
        *,
        engine: Engine,
        settings: Settings,
        unanswered: Sequence[Job] = (),
        shard_count: int | None = None,
    ) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=discord.Intents(guilds=True, guild_messages=True, dm_messages=True),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            tree_cls=Tree,
            shard_count=shard_count,
        )
        survive_odd_events(self._connection.parsers)
        if not settings.discord.guilds:  # Discord knows both of commands that are registered everywhere only
            self.tree.allowed_installs = app_commands.AppInstallationType(guild=True, user=False)
            self.tree.allowed_contexts = app_commands.AppCommandContext(guild=True, dm_channel=True)
        self.engine = engine
        self.store = engine.store
        self.settings = settings
        self.pacing = Pacing()
        self.replies = Replies(self)
        self.model_defaults = ModelDefaults(self.store, settings.offered)
        self.owner_alerts = OwnerAlerts(self)
        self.downloads = Pulls(settings)
        self._unanswered = unanswered
        self._background = BackgroundTasks()

    async def setup_hook(self) -> None:
        """Load every cog that has a model, tell Discord of changed commands, and answer what the last run left."""
        self.add_dynamic_items(CancelButton, JobMenu, StopButton)
        if self.application is not None:
            self.owner_ids = owners_of(self.application)
        await self.model_defaults.load()
        await self.owner_alerts.load()
        await self.load_cogs()
        await asyncio.wait([self._background.spawn(self._sync(), name="sync commands")], timeout=_SYNC_S)
        for job in self._unanswered:
            self.replies.resume(job)

    async def _sync(self) -> None:
        """Register changed commands; when that fails, those of before still work."""
        try:
            with readable():
                await self.sync_if_changed()
        except (discord.DiscordException, *NETWORK_ERRORS) as error:
            log.warning("the commands couldn't be registered: %s", error)

    async def load_cogs(self) -> None:
        """Load every cog, found by its file, but for those of tasks without a model."""
        await self.tree.set_translator(CommandTexts())
        without_model = self.settings.tasks.keys() - self.settings.offered.keys()
        for module in pkgutil.iter_modules(cogs.__path__):
            if module.name not in without_model:
                await self.load_extension(f"cogs.{module.name}")

    async def on_message(self, _message: discord.Message, /) -> None:
        """Do nothing: messages only come along with their deletions, which are listened for."""

    async def on_interaction(self, interaction: discord.Interaction[Any], /) -> None:
        """Answer clicks on what nobody listens to any more: buttons and forms of other versions of this bot."""
        data: Any = interaction.data or {}
        name = str(data.get("custom_id"))
        known = any(ids.fullmatch(name) for ids in (CANCEL_IDS, MENU_IDS, PULL_IDS))
        if interaction.type in _CLICKS and not known:
            await reply_with_error(
                interaction, UserError("This is from another version of this bot. Use the command again.")
            )

    async def close(self) -> None:
        """Stop answering, then disconnect."""
        await self._background.close()
        await self.replies.close()
        await self.owner_alerts.close()
        self.downloads.close()
        await super().close()

    async def sync_if_changed(self) -> bool:
        """Register the commands with Discord if they differ from what was registered last; say whether they did."""
        changed = await self.commands_changed()
        if changed:
            await self.sync_commands()
        return changed

    async def commands_changed(self) -> bool:
        """Say whether the commands differ from what was registered with Discord last."""
        return bool(await self.store.get_value(_SYNCED) != await self._fingerprint())

    async def sync_commands(self) -> Collection[int]:
        """Register the commands with Discord where they are wanted, and take them away where they were before.

        Return the guilds where that failed; the log says why.
        """
        wanted, before = self.settings.discord.guilds or (_EVERYWHERE,), await self._places()
        failed = [place for place in wanted if not await self._register(place)]
        left = [place for place in before if place not in wanted and not await self._withdraw(place)]
        self.store.set_value(_PLACES, [*wanted, *left])
        if not (failed or left):
            self.store.set_value(_SYNCED, await self._fingerprint())
        log.info("registered the commands with Discord")
        return failed

    async def _register(self, place: int) -> bool:
        """Register the commands in one guild, or everywhere; return False for a guild where that can't be done."""
        if place == _EVERYWHERE:
            await self.tree.sync()
            return True
        guild = discord.Object(place)
        self.tree.copy_global_to(guild=guild)
        try:
            await self.tree.sync(guild=guild)
        except discord.DiscordException as error:
            log.warning("the commands couldn't be registered in server %d: %s", place, error)
            return False
        return True

    async def _withdraw(self, place: int) -> bool:
        """Take the commands away from where they aren't wanted any more; return False when another try may help."""
        assert self.application_id is not None  # noqa: S101 - there since the login
        try:
            if place == _EVERYWHERE:
                await self.http.bulk_upsert_global_commands(self.application_id, [])
            else:
                await self.http.bulk_upsert_guild_commands(self.application_id, place, [])
        except discord.HTTPException as error:
            log.warning("the commands couldn't be taken away from server %d: %s", place, error)
            return error.status < 500
        return True

    async def _places(self) -> list[int]:
        """Return where commands may be registered; an earlier version that didn't note it did so everywhere."""
        places: list[int] | None = await self.store.get_value(_PLACES)
        if places is None:
            return [_EVERYWHERE] if await self.store.get_value(_SYNCED) else []
        return places

    async def _fingerprint(self) -> str:
        translator = self.tree.translator or CommandTexts()
        commands_now: list[Any] = [
            await command.get_translated_payload(self.tree, translator) for command in self.tree.get_commands()
        ]
        known = [self.application_id, list(self.settings.discord.guilds), commands_now]
        return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()
