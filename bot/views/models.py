"""Offer the configured models by autocomplete."""

from __future__ import annotations

from collections.abc import Iterable

from discord import app_commands

from bot.inference.reference import parse_reference
from bot.inference.settings import TaskSettings

MOST_CHOICES = 25


def model_choices(settings: TaskSettings, typed: str) -> list[app_commands.Choice[str]]:
    """Return the models whose name contains what was typed; the default comes first."""
    names = [parse_reference(reference).short_name for reference in settings.references]
    return matching(((name, name) for name in names), typed)


def matching(choices: Iterable[tuple[str, str]], typed: str) -> list[app_commands.Choice[str]]:
    """Return the (shown, value) pairs that contain what was typed, those that begin with it first, 25 at most."""
    wanted = typed.strip().casefold()
    found = [(shown, value) for shown, value in choices if wanted in shown.casefold() or wanted in value.casefold()]
    found.sort(key=lambda choice: not choice[0].casefold().startswith(wanted))
    return [app_commands.Choice(name=shown[:100], value=value[:100]) for shown, value in found[:MOST_CHOICES]]
