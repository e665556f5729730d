"""Hold what was looked at, and bound how long looking may take."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, TypeVar

LIMIT_S = 15.0
"""What each question to Discord, the Hub or the store may take. They are asked at the same time."""
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Check:
    """Hold one line of the report: an error means that `hubcord run` wouldn't work. `advice` is the thing to do."""

    name: str
    state: Literal["ok", "warning", "error"]
    text: str
    advice: str = ""


def failed(name: str, why: str) -> Check:
    """Return what an error says: first what is wrong, then, in numbered steps or a sentence, what to do."""
    text, steps, advice = " ".join(why.split()).partition(" 1. ")
    if steps:
        return Check(name, "error", text, f"1. {advice}")
    text, dot, advice = text.partition(". ")
    return Check(name, "error", text + dot.strip(), advice)


async def in_thread(work: Callable[[], Found]) -> Found:
    """Do blocking work in a thread that can't keep the process from ending; raise TimeoutError when it takes long."""
    future: Future[Found] = Future()
    threading.Thread(target=_do, args=(work, future), daemon=True).start()
    return await asyncio.wait_for(asyncio.wrap_future(future), LIMIT_S)


def _do(work: Callable[[], Found], future: Future[Found]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - raised again where it is waited for
        future.set_exception(error)
