"""Show the configured models, and which of them could answer at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import discord

from bot.hub.reference import parse_reference, shown_model
from bot.i18n.texts import gettext as _
from bot.ui.markdown import cut, escape

_FIELD_CHARS, _ALL_FIELDS_CHARS = 1024, 5400
_LIST_LINES = 15
_NAME_CHARS = 60


@dataclass(frozen=True, slots=True)
class ListedAdapter:
    """Name an adapter, and the models that it is offered for."""

    name: str
    reference: str
    models: Sequence[str]


def models_embed(
    references: Mapping[str, Sequence[str]],
    *,
    defaults: Mapping[str, str | None],
    now: Mapping[str, float | None],
    missing: Collection[str],
    adapters: Mapping[str, Sequence[ListedAdapter]],
) -> discord.Embed:
    """Return the models of each command, its default first, and what can be put on them.

    `now` are those that are in memory (None) or made ready (the share that is fetched), `missing` those that would have
    to be fetched.
    """
    embed = discord.Embed(title=_("Models"), colour=discord.Colour.blurple())
    embed.set_footer(text=_("Bold: what a command uses here when no model is named. Warm: in memory now."))
    fields: dict[str, list[str]] = {}
    for task, models in references.items():
        states = {model: _state(model, now, missing) for model in models}
        fields[f"/{task}"] = _lines(states, defaults[task])
        if adapters.get(task):
            lines = [
                _of_adapter(adapter, models, _state(adapter.reference, now, missing)) for adapter in adapters[task]
            ]
            fields[_("/{task}: adapters", task=task)] = lines
    room = min(_FIELD_CHARS, _ALL_FIELDS_CHARS // len(fields))
    for name, lines in fields.items():
        embed.add_field(name=name, value=cut("\n".join(_few(lines)), room), inline=False)
    return embed


def _lines(states: Mapping[str, str], default: str | None) -> list[str]:
    ordered = sorted(states, key=lambda model: model != default)
    return [f"**{_shown(m)}** · {states[m]}" if m == default else f"{_shown(m)} · {states[m]}" for m in ordered]


def _of_adapter(adapter: ListedAdapter, models: Sequence[str], state: str) -> str:
    names = [escape(cut(parse_reference(model).short_name, _NAME_CHARS)) for model in adapter.models]
    fitting = _("for all models") if len(names) == len(models) else _("for {models}", models=", ".join(names))
    return " · ".join([escape(adapter.name), fitting if names else _("for none of these models"), state])


def _few(lines: list[str]) -> list[str]:
    more = len(lines) - _LIST_LINES
    return [*lines[:_LIST_LINES], _("and {n} more", n=more)] if more > 0 else lines


def _shown(text: str) -> str:
    reference = parse_reference(text)
    return escape(cut(shown_model(reference.short_name, reference.revision), _NAME_CHARS))


def _state(reference: str, now: Mapping[str, float | None], missing: Collection[str]) -> str:
    share = now.get(reference)
    if share:
        return _("being fetched, {share}", share=f"{share:.0%}")
    if share is not None:
        return _("being loaded")
    if reference in now:
        return _("warm")
    return _("not fetched yet") if reference in missing else _("cold")
