"""Look whether each configured model is on this machine, or could be fetched."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from functools import partial

from bot.doctor.check import Check, failed, in_thread
from bot.errors import ModelUnavailable, one_line
from bot.hub.cards import Card, hub_card, local_card
from bot.hub.file_size import format_size
from bot.hub.model_filter import ModelFilter
from bot.hub.reference import ModelReference, parse_reference
from bot.hub.torchhub import check_trusted

_ANOTHER = "Name another model in the configuration."


async def check_model(
    task: str, text: str, model_filter: ModelFilter, trusted: Container[str]
) -> tuple[Check, Card | None]:
    """Return what is right or wrong with a model of a task, and its card if it can be used."""
    name = f"{task} model {text}"
    try:
        card = await in_thread(partial(_card, text, model_filter, trusted))
    except ModelUnavailable as error:
        return _wrong(name, text, str(error.values.get("hint", error))), None
    except TimeoutError:
        return Check(name, "error", "The Hub doesn't answer.", "Check this machine's network, then try again."), None
    except Exception as error:  # noqa: BLE001 - files and answers of strangers: the other lines are told all the same
        return Check(name, "error", f"It can't be looked at ({one_line(error)}).", _ANOTHER), None
    if card.trouble:
        return _wrong(name, text, card.trouble), None
    return _usable(name, card), card


def _card(text: str, model_filter: ModelFilter, trusted: Container[str]) -> Card:
    """Describe a model; the Hub is asked about those alone that aren't here. Raise ModelUnavailable."""
    reference = parse_reference(text)
    check_trusted(reference, trusted)
    card = local_card(text, model_filter)
    return hub_card(text, model_filter) if reference.scheme == "hf" and not card.cached else card


def _wrong(name: str, reference: str, hint: str) -> Check:
    check = failed(name, hint.removeprefix(f"{reference}: "))
    return replace(check, advice=check.advice or _ANOTHER)


def _usable(name: str, card: Card) -> Check:
    reference = parse_reference(card.reference)
    if reference.scheme == "torchhub":
        text = f"The code of {reference.name} runs here, with all that hubcord may do."
        return Check(name, "warning", text, f"Read {_code(reference)} before you trust it.")
    if card.cached:
        return Check(name, "ok", f"here, {format_size(card.weights.size_bytes)}")
    size = format_size(card.weights.size_bytes) or "size unknown"
    text = f"Not here yet ({size}): the start or the first use fetches it."
    return Check(name, "warning", text, f"Run `hubcord models pull {card.reference}` to have it at once.")


def _code(reference: ModelReference) -> str:
    return f"https://github.com/{reference.name}/tree/{reference.revision}"
