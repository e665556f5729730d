"""Let requests to the simulated Discord fail, before or after they take effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import aiohttp
import pytest
import simcord
from simcord.http import router

CUT = (0, 0)
"""The connection is lost."""
PAGE = (200, 0)
"""A page comes as the answer, as discord.py would return it."""


@dataclass(frozen=True)
class Fault:
    """Fail with one (status, code) after the other; the last one `for_ever`. `after`: what was asked is done before."""

    fails: Sequence[tuple[int, int]]
    for_ever: bool = False
    after: bool = False

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return chain(self.fails, repeat(self.fails[-1]) if self.for_ever else ())


class Faults:
    """Hold what fails, and the nonces of messages, which SimCord forgets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._faults: list[tuple[re.Pattern[str], Fault, Iterator[tuple[int, int]]]] = []
        self._posted: dict[tuple[str, str], Any] = {}
        self._dispatch = router.dispatch
        monkeypatch.setattr(router, "dispatch", self._answer)

    def add(self, request: str, fault: Fault) -> None:
        """Let requests fail whose method and path match."""
        self._faults.append((re.compile(request), fault, iter(fault)))

    def _answer(self, backend: Any, method: str, path: str, **body: Any) -> Any:
        for request, fault, fails in self._faults:
            if request.fullmatch(f"{method} {path}") and (failure := next(fails, None)):
                if fault.after:
                    self._once(backend, method, path, **body)
                return _fail(*failure)
        return self._once(backend, method, path, **body)

    def _once(self, backend: Any, method: str, path: str, **body: Any) -> Any:
        """Do what is asked; a message that has a nonce only once."""
        nonce = (body.get("json") or {}).get("nonce")
        if nonce is None:
            return self._dispatch(backend, method, path, **body)
        if (path, nonce) not in self._posted:
            self._posted[path, nonce] = self._dispatch(backend, method, path, **body)
        return self._posted[path, nonce]


def _fail(status: int, code: int) -> str:
    if (status, code) == PAGE:
        return "<html></html>"
    if (status, code) == CUT:
        raise aiohttp.ClientConnectionError("connection reset")
    raise simcord.BackendError(status, code, "no")
