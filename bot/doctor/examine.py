"""Ask everything at the same time, and tell the answers in order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy.engine import make_url

from bot.config import DEFAULT_FILE, TOKEN_VARIABLE, Settings, load_settings
from bot.doctor import check
from bot.doctor.check import Check, failed
from bot.doctor.languages import check_languages
from bot.doctor.machine import check_device, check_disk, check_torch, open_devices
from bot.doctor.models import check_model
from bot.doctor.on_discord import check_discord
from bot.doctor.on_hub import check_hub_token
from bot.errors import ConfigError, UserError
from bot.hub.client import hub_token
from bot.store.base import NoStore, Store
from bot.store.heartbeat import is_connected
from bot.store.sql import SqlStore
from bot.tasks.registry import configured
from bot.tasks.translate.task import TRANSLATE
from bot.wiring import make_store

_STORE = {
    "new": "will be made by the first start",
    "old": "reachable; the next start brings its tables up to date",
    "current": "reachable, its tables up to date",
}


async def examine(config: Path | None) -> AsyncIterator[Check]:
    """Yield what is right and wrong. An error means that `hubcord run` would not work."""
    try:
        settings = load_settings(config)
    except ConfigError as error:
        yield Check("configuration", "error", str(error), "Mend it; config.example.toml explains every key.")
        return
    yield _configuration(config or DEFAULT_FILE)
    secrets = _secrets(settings)
    parts = [asyncio.create_task(part) for part in (_discord_and_store(settings), _hub_and_machine(settings))]
    for part in parts:
        for found in await part:
            yield _without(secrets, found)


def _configuration(path: Path) -> Check:
    return Check("configuration", "ok", f"{path} is valid" if path.is_file() else "none: defaults are used")


def _secrets(settings: Settings) -> list[str]:
    """Return what may stand in no line, whatever a library puts into its errors."""
    found = [os.environ.get(TOKEN_VARIABLE, "").strip(), hub_token(), make_url(settings.store.url).password]
    return [secret for secret in found if secret]


def _without(secrets: Sequence[str], found: Check) -> Check:
    text, advice = found.text, found.advice
    for secret in secrets:
        text, advice = text.replace(secret, "(secret)"), advice.replace(secret, "(secret)")
    return replace(found, text=text, advice=advice)


async def _discord_and_store(settings: Settings) -> list[Check]:
    """Look at the store first: it knows what was registered with Discord."""
    store = make_store(settings)
    try:
        found, kept = await _store(settings, store)
        return [*await check_discord(settings, kept), found]
    finally:
        await store.close()


async def _store(settings: Settings, store: SqlStore) -> tuple[Check, Store]:
    """Look at the store; return it, or one that knows nothing when it can't be read yet."""
    try:
        async with asyncio.timeout(check.LIMIT_S):
            state, running = await store.schema_state(), await is_connected(store)
    except UserError as error:
        return failed("store", str(error)), NoStore()
    except TimeoutError:
        advice = "Check the url in [store], and that its server runs."
        return Check("store", "error", "It doesn't answer.", advice), NoStore()
    used = ", in use by a hubcord that is connected" if running else ""
    found = Check("store", "ok", f"{make_url(settings.store.url).database}: {_STORE[state]}{used}")
    return found, store if state == "current" else NoStore()


async def _hub_and_machine(settings: Settings) -> list[Check]:
    wanted = list(configured(settings.tasks))
    needed = any(text.startswith("hf:") for _, text, _ in wanted)
    asked = asyncio.gather(*(check_model(*one, settings.hub.trusted_torchhub) for one in wanted))
    token, devices, languages = await asyncio.gather(
        check_hub_token(needed=needed),
        open_devices(settings.devices),
        check_languages(settings.of(TRANSLATE)),
    )
    models = await asked
    cards = list({card.reference: card for _, card in models if card is not None}.values())
    rooms = [check_device(device, closed, cards) for device, closed in devices]
    return [token, *(found for found, _ in models), *languages, check_torch(), *rooms, check_disk(cards)]
