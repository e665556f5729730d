"""Configure LoRA adapters, and read which ones a member asks for. torch isn't needed here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from bot.errors import BadInput, join_names
from bot.hub.reference import parse_reference
from bot.tasks.settings import Frozen, Reference

MAX_WEIGHT = 2.0
MAX_LORAS = 4
_TAG = re.compile(r"<lora:([^<>]*)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Ask for one configured adapter at a weight: 0 does nothing, 1 is what it was trained for."""

    name: str
    weight: float

    def __str__(self) -> str:
        return f"{self.name}:{self.weight:g}"


def _fetchable(reference: str) -> str:
    if parse_reference(reference).scheme not in ("hf", "path"):
        raise ValueError("an adapter is hf:ORG/NAME@REVISION, hf:ORG/NAME@REVISION#FILE.safetensors or path:FILE")
    return reference


class LoraSettings(Frozen):
    """Set up one adapter. `words` are those that it was trained to hear; without `for` its card tells what it fits."""

    model_config: ClassVar[Any] = {**Frozen.model_config, "populate_by_name": True}

    name: str = Field(pattern=r"^[\w-]{1,40}$")
    model: Annotated[Reference, AfterValidator(_fetchable)]
    weight: float = Field(default=1.0, ge=-MAX_WEIGHT, le=MAX_WEIGHT)
    models: tuple[str, ...] = Field(default=(), alias="for")
    words: str = Field(default="", max_length=200)


def take_tags(prompt: str) -> tuple[str, list[str]]:
    """Return a prompt without its `<lora:NAME:WEIGHT>` tags, and what stood in each of them."""
    tags = _TAG.findall(prompt)
    return (re.sub(r"\s+", " ", _TAG.sub(" ", prompt)).strip() if tags else prompt), tags


def read_loras(texts: Iterable[str], configured: Iterable[LoraSettings]) -> tuple[Lora, ...]:
    """Read adapters written as `NAME` or `NAME:WEIGHT`; the last one of a name counts. Raise BadInput."""
    known = {lora.name.casefold(): lora for lora in configured}
    asked = {lora.name: lora for lora in _read_all(texts, known)}
    if len(asked) > MAX_LORAS:
        raise BadInput("Use at most {most} adapters at a time.", most=MAX_LORAS)
    return tuple(sorted(asked.values(), key=lambda lora: lora.name))


def _read_all(texts: Iterable[str], known: dict[str, LoraSettings]) -> Iterator[Lora]:
    for text in texts:
        name, colon, weight = (part.strip() for part in text.partition(":"))
        found = known.get(name.casefold())
        if found is None:
            raise _unknown(name, known)
        yield Lora(name=found.name, weight=_read_weight(weight) if colon else found.weight)


def _read_weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not abs(weight) <= MAX_WEIGHT:
        raise BadInput(
            "“{text}” is no weight of an adapter. Use a number from {least:g} to {most:g}, like 0.8.",
            text=text[:20], least=-MAX_WEIGHT, most=MAX_WEIGHT,
        )  # fmt: skip
    return weight


def _unknown(name: str, known: dict[str, LoraSettings]) -> BadInput:
    if not known:
        return BadInput("There are no adapters here. Leave “{name}” out.", name=name[:40])
    names = join_names(lora.name for lora in known.values())
    return BadInput("There is no adapter “{name}” here. Choose one of: {known}.", name=name[:40], known=names)
