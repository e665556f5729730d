"""Look for everything that would keep the bot from working, and say the one thing to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import make_url

from bot.bundled.catalog import bundled_path
from bot.compose import make_store
from bot.config import Settings, discord_token, load_settings
from bot.errors import ConfigError, UserError
from bot.inference.accepts import Accepts
from bot.inference.cards import Card, local_card
from bot.inference.reference import ModelReference, parse_reference
from bot.inference.registry import configured
from bot.inference.torchhub import check_trusted

Level = Literal["ok", "warning", "error"]
_STORE = {
    "new": "will be made by the first start",
    "old": "reachable; the next start brings its tables up to date",
    "current": "reachable, its tables up to date",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold one line of the doctor's report."""

    level: Level
    about: str
    text: str


def examine(config: Path | None) -> Iterator[Finding]:
    """Yield what is right and wrong. An error means that `hubcord run` would not work."""
    try:
        settings = load_settings(config)
    except ConfigError as error:
        yield Finding("error", "configuration", str(error))
        return
    yield Finding(
        "ok", "configuration", "valid" if config or Path("config.toml").is_file() else "none: defaults are used"
    )
    yield _token()
    yield _store(settings)
    yield Finding("ok", "devices", ", ".join(device.name for device in settings.devices.devices()))
    for task, reference, accepts in configured(settings.tasks):
        yield _model(task, reference, accepts, settings.hub.trusted_torchhub)


def _token() -> Finding:
    try:
        discord_token()
    except ConfigError as error:
        return Finding("error", "Discord token", str(error))
    return Finding("ok", "Discord token", "set")


def _store(settings: Settings) -> Finding:
    async def look() -> str:
        store = make_store(settings)
        try:
            return _STORE[await store.look()]
        finally:
            await store.close()

    where = make_url(settings.store.url).database
    try:
        return Finding("ok", "store", f"{where}: {asyncio.run(look())}")
    except UserError as error:
        return Finding("error", "store", str(error))


def _model(task: str, text: str, accepts: Accepts, trusted: Container[str]) -> Finding:
    reference, about = parse_reference(text), f"{task} model {text}"
    try:
        check_trusted(reference, trusted)
        if reference.scheme == "bundled":
            bundled_path(reference.name)
    except UserError as error:
        return Finding("error", about, error.values.get("hint", str(error)))
    if reference.scheme == "torchhub":
        return Finding("warning", about, f"the code of {reference.name} runs here, with all that hubcord may do")
    return _of_card(about, reference, local_card(text, accepts))


def _of_card(about: str, reference: ModelReference, card: Card) -> Finding:
    if card.trouble:
        return Finding("error", about, card.trouble)
    if card.cached:
        return Finding("ok", about, "there")
    if reference.scheme == "path":
        return Finding("error", about, "there is no such folder or file")
    if reference.scheme == "torchvision":
        return Finding("ok", about, "weights are fetched when first used, if they aren't cached")
    return Finding(
        "warning", about, f"not in the cache: it is fetched when first used, or by hubcord models pull {card.reference}"
    )
