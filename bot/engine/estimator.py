"""Estimate how long jobs take from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.tasks.base import Request

_SMOOTHING = 0.2
_UNKNOWN_S = 1.0
_UNKNOWN_LOADING_S = 5.0
_MOST = 1_000


class Estimator:
    """Keep moving averages of device seconds per unit of work, for each cost key on each device and on any.

    An exponential moving average: a new measurement counts for a fifth. A job of an unknown kind is taken for
    one second, the loading of an unknown model for five. What wasn't measured for longest is forgotten first.
    """

    def __init__(self, known: Mapping[str, float] | None = None) -> None:
        self.seconds_per_unit: dict[str, float] = dict(known or {})
        self._rates: dict[tuple[tuple[str, ...], str], float | None] = {}

    def seconds(self, request: Request, device: str = "") -> float:
        """Return the device seconds that one request is expected to take, on `device` or on any."""
        rate = self._rate(request.timing_keys, device)
        return _UNKNOWN_S if rate is None else max(rate * request.work, 1e-4)

    def knows(self, request: Request) -> bool:
        """Say whether a request of this kind was ever measured."""
        return self._rate(request.timing_keys, "") is not None

    def loading_s(self, model: str, device: str) -> float:
        """Return the seconds that a model is expected to take to load on a device."""
        return self.seconds_per_unit.get(_loading_key(model, device), _UNKNOWN_LOADING_S)

    def learn(self, requests: Iterable[Request], seconds: float, device: str = "") -> None:
        """Note that a batch of requests of one kind took `seconds` of a device."""
        batch = list(requests)
        work = sum(request.work for request in batch)
        if not work or seconds <= 0:
            return
        for key in batch[0].timing_keys:
            for measured in {key, _on(key, device)}:
                self._average(measured, seconds / work)

    def learn_loading(self, model: str, device: str, seconds: float) -> None:
        """Note that a model took `seconds` to load on a device."""
        self._average(_loading_key(model, device), seconds)

    def _rate(self, timing_keys: tuple[str, ...], device: str) -> float | None:
        """Return the closest rate that is known, or None. It is asked for every job in every forecast."""
        asked = (timing_keys, device)
        if asked not in self._rates:
            keys = [key for cost_key in timing_keys for key in (_on(cost_key, device), cost_key)]
            self._rates[asked] = next(
                (self.seconds_per_unit[key] for key in keys if key in self.seconds_per_unit), None
            )
        return self._rates[asked]

    def _average(self, key: str, value: float) -> None:
        self._rates.clear()
        known = self.seconds_per_unit.pop(key, value)
        self.seconds_per_unit[key] = known + _SMOOTHING * (value - known)
        if len(self.seconds_per_unit) > _MOST:
            del self.seconds_per_unit[next(iter(self.seconds_per_unit))]


def _on(key: str, device: str) -> str:
    return f"{key} on {device}" if device else key


def _loading_key(model: str, device: str) -> str:
    return f"loading {model} on {device}"
