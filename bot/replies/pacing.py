"""Let many tasks that become ready at once go on one by one, so that the event loop gets to others in between."""

from __future__ import annotations

import asyncio


class Pacing:
    """Give turns in the order of asking, one each time the event loop comes round.

    A batch ends for dozens of people at once. If all of them were answered in one go, a new command would wait for it.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def next(self) -> None:
        """Return when it is the caller's turn."""
        async with self._turn:
            await asyncio.sleep(0)
