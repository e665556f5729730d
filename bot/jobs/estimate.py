"""Estimate how long jobs take from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.inference.pipeline import Request

_SMOOTHING = 0.2
_UNKNOWN_S = 1.0


class Estimator:
    """Keep moving averages of device seconds per unit of work, one for each cost key.

    An exponential moving average: a new measurement counts for a fifth. A job of an unknown kind is taken for
    one second.
    """

    def __init__(self, known: Mapping[str, float] | None = None) -> None:
        self.seconds_per_unit: dict[str, float] = dict(known or {})

    def seconds(self, request: Request) -> float:
        """Return the device seconds that one request is expected to take."""
        rate = self.seconds_per_unit.get(request.cost_key)
        return _UNKNOWN_S if rate is None else max(rate * request.work, 1e-4)

    def learn(self, requests: Iterable[Request], seconds: float) -> None:
        """Note that a batch of requests of one cost key took `seconds` of the device."""
        batch = list(requests)
        work = sum(request.work for request in batch)
        if not work or seconds <= 0:
            return
        key, rate = batch[0].cost_key, seconds / work
        known = self.seconds_per_unit.get(key, rate)
        self.seconds_per_unit[key] = known + _SMOOTHING * (rate - known)
