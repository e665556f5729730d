"""Tell people what a model did otherwise than they asked, and what it is good for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bot.i18n.texts import Sentence

if TYPE_CHECKING:
    from bot.tasks.imagine.family import Family
    from bot.tasks.imagine.parameters import Plan
    from bot.tasks.imagine.task import ImagineRequest


def hints(request: ImagineRequest, plan: Plan, family: Family, knows: Mapping[str, Any]) -> Iterator[Sentence]:
    """Yield all that should be told of a request's pictures; often nothing."""
    yield from _left_out(request, plan, family)
    yield from _hint_of_words(knows, request.prompt)


def _left_out(request: ImagineRequest, plan: Plan, family: Family) -> Iterator[Sentence]:
    if request.guidance is not None and family.scale is None:
        yield Sentence("This model takes no guidance, so it was left out.")
    if request.negative and not family.takes_negative:
        yield Sentence("This model takes no negative prompt, so it was left out.")
    elif request.negative and not plan.is_negative_used:
        yield Sentence("A negative prompt needs a guidance above 1, so it was left out.")
    asked = (request.width or plan.width, request.height or plan.height)
    if asked != (plan.width, plan.height):
        size = f"{asked[0]}×{asked[1]}"
        yield Sentence("The size is the nearest one that this model makes to {size}.", {"size": size})


def _hint_of_words(knows: Mapping[str, Any], prompt: str) -> Iterator[Sentence]:
    """Yield a hint of what a small model can draw when the prompt has no word it knows, else nothing."""
    words: list[str] = knows.get("words", [])
    text = " " + " ".join(re.findall(r"[a-z0-9]+", prompt.lower())) + " "
    if not words or any(f" {word} " in text or f" {word}s " in text for word in words):
        return
    names: list[str] = knows.get("names", words)
    few = ", ".join(names[:: max(1, len(names) // 8)][:8])
    what = knows.get("what", "some things")
    yield Sentence("This small model only knows {what}, such as: {few}.", {"what": what, "few": few})
