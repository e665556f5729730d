"""Remember what models can't be had, so that the host is told once and the Hub isn't asked for every job."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.errors import ModelUnavailable

log = logging.getLogger(__name__)
_TRY_AGAIN_S = 30.0


@dataclass(frozen=True, slots=True)
class _Missing:
    """Hold what an error said, without the frames that it came from."""

    template: str
    values: dict[str, Any]
    until: float

    @property
    def error(self) -> ModelUnavailable:
        """Return it as a new error."""
        return ModelUnavailable(self.template, **self.values)


class MissingModels:
    """Refuse a model that wasn't there a moment ago: for 30 s, or for as long as the Hub said."""

    def __init__(self) -> None:
        self._missing: dict[str, _Missing] = {}

    @contextlib.contextmanager
    def told_once(self, reference: str) -> Iterator[None]:
        """Find or load a model inside. A hint for the host is logged when it is a new one."""
        before = self._missing.get(reference)
        if before is not None and time.monotonic() < before.until:
            raise before.error
        try:
            yield
        except ModelUnavailable as error:
            if before is None or _hint(before.error) != _hint(error):
                log.warning("%s", _hint(error))
            wait_s = error.values.get("retry_after_s", _TRY_AGAIN_S)
            self._missing[reference] = _Missing(error.template, error.values, time.monotonic() + wait_s)
            raise
        self._missing.pop(reference, None)


def _hint(error: ModelUnavailable) -> str:
    return str(error.values.get("hint", error))
