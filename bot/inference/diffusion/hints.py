"""Tell people what a model did otherwise than they asked, and what it is good for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.inference.diffusion.family import Family
    from bot.inference.diffusion.plan import Plan
    from bot.inference.pipelines.imagine import ImagineRequest


def hints(request: ImagineRequest, plan: Plan, family: Family, knows: Mapping[str, Any]) -> str:
    """Return all that should be told of a request's pictures, in sentences; often nothing."""
    return " ".join(filter(None, [*_left_out(request, plan, family), hint_of_words(knows, request.prompt)]))


def _left_out(request: ImagineRequest, plan: Plan, family: Family) -> Iterator[str]:
    if request.guidance is not None and family.scale is None:
        yield "This model takes no guidance, so it was left out."
    if request.negative and not family.takes_negative:
        yield "This model takes no negative prompt, so it was left out."
    elif request.negative and not plan.is_negative_used:
        yield "A negative prompt needs a guidance above 1, so it was left out."
    asked = (request.width or plan.width, request.height or plan.height)
    if asked != (plan.width, plan.height):
        yield f"The size is the nearest one that this model makes to {asked[0]}×{asked[1]}."


def hint_of_words(knows: Mapping[str, Any], prompt: str) -> str:
    """Return a hint of what a small model can draw when the prompt has no word it knows, else nothing."""
    words: list[str] = knows.get("words", [])
    text = " " + " ".join(re.findall(r"[a-z0-9]+", prompt.lower())) + " "
    if not words or any(f" {word} " in text or f" {word}s " in text for word in words):
        return ""
    names: list[str] = knows.get("names", words)
    few = ", ".join(names[:: max(1, len(names) // 8)][:8])
    return f"This small model only knows {knows.get('what', 'some things')}, such as: {few}."
