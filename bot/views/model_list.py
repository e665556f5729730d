"""Show the configured models, and which of them could answer at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import discord

from bot.inference.reference import parse_reference, shown_model
from bot.texts import translate as _
from bot.views.text import cut, plain

_FIELD_CHARS, _ALL_FIELDS_CHARS = 1024, 5400
_LIST_LINES = 15


def models_embed(
    references: Mapping[str, Sequence[str]],
    *,
    defaults: Mapping[str, str | None],
    now: Mapping[str, float | None],
    missing: Collection[str],
) -> discord.Embed:
    """Return the models of each command, its default first.

    `now` are those that are in memory (None) or made ready (the share that is fetched), `missing` those that would have
    to be fetched.
    """
    embed = discord.Embed(title=_("Models"), colour=discord.Colour.blurple())
    embed.set_footer(text=_("Bold: what a command uses here when no model is named. Warm: in memory now."))
    room = min(_FIELD_CHARS, _ALL_FIELDS_CHARS // len(references))
    for task, models in references.items():
        states = {model: _state(model, now, missing) for model in models}
        embed.add_field(name=f"/{task}", value=cut(_lines(states, defaults[task]), room), inline=False)
    return embed


def _lines(states: Mapping[str, str], default: str | None) -> str:
    ordered = sorted(states, key=lambda model: model != default)
    lines = [f"**{_shown(m)}** · {states[m]}" if m == default else f"{_shown(m)} · {states[m]}" for m in ordered]
    if len(lines) > _LIST_LINES:
        lines[_LIST_LINES:] = [_("and {n} more", n=len(lines) - _LIST_LINES)]
    return "\n".join(lines)


def _shown(text: str) -> str:
    reference = parse_reference(text)
    return plain(cut(shown_model(reference.short_name, reference.revision), 60))


def _state(reference: str, now: Mapping[str, float | None], missing: Collection[str]) -> str:
    share = now.get(reference)
    if share:
        return _("being fetched, {share}", share=f"{share:.0%}")
    if share is not None:
        return _("being loaded")
    if reference in now:
        return _("warm")
    return _("not fetched yet") if reference in missing else _("cold")
