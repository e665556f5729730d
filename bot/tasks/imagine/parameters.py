"""Fill in what a request for pictures leaves to the host and to the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bot.errors import BadInput
from bot.tasks.imagine.family import Family
from bot.tasks.imagine.image_sizes import Size, read_size
from bot.tasks.imagine.schedulers import SchedulerName
from bot.tasks.settings import Frozen

if TYPE_CHECKING:
    from bot.tasks.imagine.task import ImagineRequest

_SMALLER = 0.7
"""Of each side, for about half the pixels."""


class DefaultParameters(Frozen):
    """Say what suits one of the models, where its files don't tell; a member's own option always wins."""

    model: str
    steps: int | None = Field(default=None, ge=1)
    guidance: float | None = Field(default=None, ge=0, le=50)
    size: Size | None = None
    sizes: tuple[Size, ...] = ()
    scheduler: SchedulerName | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Hold what pictures are made with. Sizes in pixels; `scheduler` None is the model's own."""

    width: int
    height: int
    steps: int
    guidance: float
    scheduler: str | None
    is_negative_used: bool


class Planner:
    """Make plans for one model, from what its files say: its `family`, and `meta`, its maker's word to hubcord."""

    def __init__(self, family: Family, meta: Mapping[str, Any], *, shown: str, multiple: int) -> None:
        self._family = family
        self._shown = shown
        self._multiple = multiple
        self._defaults: Mapping[str, Any] = meta.get("defaults", {})
        self._sizes: list[str] = meta.get("sizes", [])

    def plan(self, request: ImagineRequest, host: DefaultParameters) -> Plan:
        """Fill in the host's, the maker's and the family's defaults; raise BadInput for a size that can't be made."""
        family, maker = self._family, self._defaults
        size = read_size(host.size) if host.size else (None, None)
        width = self._side(request.width or size[0] or maker.get("width") or family.width)
        height = self._side(request.height or size[1] or maker.get("height") or family.height)
        if self._sizes and f"{width}x{height}" not in self._sizes:
            sizes = ", ".join(self._sizes)
            raise BadInput("{model} makes pictures of {sizes} pixels only.", model=self._shown, sizes=sizes)
        guidance = _first(request.guidance, host.guidance, maker.get("guidance"), family.guidance)
        return Plan(
            width=width,
            height=height,
            steps=_first(request.steps, host.steps, maker.get("steps"), family.steps),
            guidance=guidance if family.scale else family.guidance,
            scheduler=request.scheduler or host.scheduler,
            is_negative_used=family.takes_negative and guidance > 1,
        )

    def smaller(self, plan: Plan) -> tuple[int, int] | None:
        """Return a size of half the pixels, if there is one."""
        width, height = (int(side * _SMALLER) // self._multiple * self._multiple for side in (plan.width, plan.height))
        is_made = not self._sizes or f"{width}x{height}" in self._sizes
        return (width, height) if min(width, height) >= 64 and is_made else None

    def _side(self, pixels: int) -> int:
        """Return the nearest length of a side that the model's latents allow."""
        return max(round(pixels / self._multiple), 1) * self._multiple


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)
