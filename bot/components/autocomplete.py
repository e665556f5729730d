"""Offer the configured models by autocomplete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from discord import Interaction, app_commands

from bot.hub.reference import parse_reference
from bot.i18n.texts import gettext as _

if TYPE_CHECKING:
    from bot.bot import Bot

MOST_CHOICES = 25
_VALUE_CHARS, _NAME_CHARS = 100, 76


def model_choices(interaction: Interaction[Bot], task: str, typed: str) -> list[app_commands.Choice[str]]:
    """Return a command's models whose name contains what was typed; the default here comes first."""
    bot = interaction.client
    default, now = bot.model_defaults.here(interaction, task), bot.engine.models
    ordered = sorted(bot.settings.tasks[task].references, key=lambda reference: reference != default)
    references = {parse_reference(reference).short_name[:_VALUE_CHARS]: reference for reference in ordered}
    choices = matching(((name, name) for name in references), typed)
    for choice in choices:
        reference = references[choice.value]
        marks = [_("default")] * (reference == default) + [_("in memory")] * (now.get(reference, 0) is None)
        choice.name = " · ".join([choice.name[:_NAME_CHARS], *marks])
    return choices


def matching(choices: Iterable[tuple[str, str]], typed: str) -> list[app_commands.Choice[str]]:
    """Return the (shown, value) pairs that contain what was typed, those that begin with it first, 25 at most."""
    wanted = typed.strip().casefold()
    found = [(shown, value) for shown, value in choices if wanted in shown.casefold() or wanted in value.casefold()]
    found.sort(key=lambda choice: not choice[0].casefold().startswith(wanted))
    cut = slice(_VALUE_CHARS)
    return [app_commands.Choice(name=shown[cut], value=value[cut]) for shown, value in found[:MOST_CHOICES]]
