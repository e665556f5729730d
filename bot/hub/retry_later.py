"""Remember what models can't be had, so that the Hub isn't asked for every job."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.errors import ModelUnavailable
from bot.hub.access import until

_REST = 10.0
"""How many times as long as a try took no other is made, so that trying takes a tenth of the time at most."""
_LONGEST_REST_S = 120.0


@dataclass(frozen=True, slots=True)
class _Missing:
    """Hold what an error said, without the frames that it came from."""

    template: str
    values: dict[str, Any]
    until: float

    @property
    def error(self) -> ModelUnavailable:
        """Return it as a new error, which says how long it takes from now on."""
        left = until(max(self.until - time.monotonic(), 0.0)) if "retry_after_s" in self.values else {}
        return ModelUnavailable(self.template, **self.values | left)


class MissingModels:
    """Refuse a model that wasn't there a moment ago: for as long as the Hub said, or as a try in vain costs others.

    What fails at once, like a folder that isn't there, is looked for again at once; a hub that is away is left alone.
    """

    def __init__(self) -> None:
        self._missing: dict[str, _Missing] = {}

    @contextlib.contextmanager
    def asked_seldom(self, reference: str) -> Iterator[None]:
        """Find or load a model inside; raise what was raised before while it isn't looked for again."""
        before = self._missing.get(reference)
        if before is not None and time.monotonic() < before.until:
            raise before.error
        started = time.monotonic()
        try:
            yield
        except ModelUnavailable as error:
            ended = time.monotonic()
            wait_s = error.values.get("retry_after_s", min(_REST * (ended - started), _LONGEST_REST_S))
            self._missing[reference] = _Missing(error.template, error.values, ended + wait_s)
            raise
        self._missing.pop(reference, None)
