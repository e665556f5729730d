"""Print what is known of models: tables and cards for people, JSON for programs."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from bot.cli.console import strip_control
from bot.hub.cards import Card
from bot.hub.file_size import format_size
from bot.hub.reference import parse_reference, shown_model
from bot.i18n.texts import gettext as _
from bot.machine.device import Device

_out = Console(highlight=False, markup=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Hold what is listed: a model, or an `adapter` by its name with the models that it is offered for."""

    card: Card
    default: bool = False
    adapter: str = ""
    models: tuple[str, ...] = ()

    @property
    def shown(self) -> Text:
        """Return the name that people see."""
        model = shown_model(self.card.name, self.card.revision)
        if not self.adapter:
            return Text(model, "bold" if self.default else "")
        models = ", ".join(parse_reference(model).short_name for model in self.models)
        return Text(_("adapter {name} for {models}: {file}", name=self.adapter, models=models or "-", file=model))

    def as_json(self, device: Device, **more: Any) -> dict[str, Any]:
        """Return it as plain values."""
        return as_json(self.card, device, **more, default=self.default, adapter=self.adapter, models=self.models)


def fits(card: Card, device: Device) -> bool:
    """Say whether a device has the memory for a model's weights, as far as both are known."""
    room = device.memory_bytes()
    return room is None or card.weights.memory_bytes(device) <= room


def as_json(card: Card, device: Device, **more: Any) -> dict[str, Any]:
    """Return a card as plain values, with the memory that the model takes on a device."""
    return {
        **more,
        **asdict(card),
        "memory_bytes": card.weights.memory_bytes(device),
        "device": device.name,
        "loads": not card.trouble and fits(card, device),
    }


def print_json(value: Any) -> None:
    """Print one JSON value on one line."""
    print(jsonlib.dumps(value, ensure_ascii=False), flush=True)  # noqa: T201


def print_list(entries: Mapping[str, Sequence[Entry]], device: Device) -> None:
    """Print the models and adapters of each task; the first is the default."""
    table = Table(box=None, pad_edge=False)
    for title in (_("Task"), _("Model"), _("State"), _("Size"), _("Memory"), _("Licence")):
        table.add_column(title, overflow="fold")
    for task, found in entries.items():
        for number, entry in enumerate(found):
            card = entry.card
            size, memory = format_size(card.weights.size_bytes), format_size(card.weights.memory_bytes(device))
            state = _state(card, device)
            table.add_row(
                f"/{task}" if number == 0 else "", entry.shown, state, size, memory, strip_control(card.licence)
            )
    _out.print(table)
    _out.print(Text(_("Bold: the default. Memory: of the weights on {device}.", device=device.name), "dim"))


def print_card(card: Card, device: Device) -> None:
    """Print everything that is known of a model, its model card last."""
    table = Table.grid(padding=(0, 2))
    facts: dict[str, str | Text] = {
        _("Reference"): card.reference,
        _("Revision"): card.revision or "",
        _("Kind"): card.kind,
        _("Licence"): card.licence,
        _("Languages"): ", ".join(card.languages),
        _("Base model"): ", ".join(card.base_models),
        _("Trigger words"): card.trigger,
        _("Parameters"): f"{card.weights.count / 1e6:.1f} M" if card.weights.count else "",
        _("Size"): format_size(card.weights.size_bytes),
        _("Memory on {device}", device=device.name): format_size(card.weights.memory_bytes(device)),
        _("Downloads"): "" if card.downloads is None else f"{card.downloads:,}",
        _("Gated"): "" if card.gated is None else _("yes") if card.gated else _("no"),
        _("State"): _state(card, device),
        _("Page"): card.page,
    }
    for fact, value in facts.items():
        if value:
            table.add_row(Text(fact, "dim"), strip_control(value) if isinstance(value, str) else value)
    _out.print(table)
    if card.text:
        _out.print(Markdown(strip_control(card.text)))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below titles."""
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(strip_control, row))
    _out.print(table)


def _state(card: Card, device: Device) -> Text:
    if card.trouble:
        return Text(card.trouble, "red")
    if not fits(card, device):
        return Text(_("too large for {device}", device=device.name), "red")
    return Text(_("here"), "green") if card.cached else Text(_("fetched when first used"), "yellow")
