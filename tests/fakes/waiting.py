"""Wait for what nobody tells of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], *, within_s: float = 10.0, every_s: float = 0.005) -> None:
    """Return when a condition holds; raise TimeoutError when it doesn't come to that.

    With 0 for `every_s` it is looked at whenever the event loop comes by, for what holds for a moment only.
    """
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(every_s)
