"""Remember for a while that a model can't be had: trying in vain keeps the device from everybody else's jobs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from bot.errors import ModelUnavailable

_REST = 10.0
"""How many times as long as a try took no other is made, so that trying takes a tenth of the time at most."""
_LONGEST_REST_S = 120.0


class Failures:
    """Hold the models that couldn't be had, each with the error and the time until when it isn't tried again."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[ModelUnavailable, float]] = {}

    @contextlib.contextmanager
    def trying(self, reference: str) -> Iterator[None]:
        """Try to get a model inside; raise what the last try raised when that was just now."""
        if reference in self._failed:
            error, until = self._failed.pop(reference)
            if time.monotonic() < until:
                self._failed[reference] = error, until
                raise error.with_traceback(None)
        started = time.monotonic()
        try:
            yield
        except ModelUnavailable as error:
            now = time.monotonic()
            self._failed[reference] = error, now + min(_REST * (now - started), _LONGEST_REST_S)
            raise
