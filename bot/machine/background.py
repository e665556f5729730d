"""Run tasks in the background that never end in silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


class BackgroundTasks:
    """Hold the background tasks of one owner.

    asyncio keeps weak references to tasks and says nothing of their exceptions until they are collected. Here each
    task is referenced until it ends, and the log says why one failed.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Start a task; its exception goes to the log with its name."""
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def repeat(self, step: Callable[[], Awaitable[None]], *, every_s: float, name: str) -> asyncio.Task[Any]:
        """Run `step` every `every_s` seconds until `close`.

        A step that fails is logged and tried again after a pause that doubles up to a minute.
        """
        return self.spawn(_repeat(step, every_s, name), name=name)

    async def close(self) -> None:
        """Cancel all tasks and wait for their end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the background task “%s” failed", task.get_name(), exc_info=error)


async def _repeat(step: Callable[[], Awaitable[None]], every_s: float, name: str) -> None:
    pause_s = _FIRST_PAUSE_S
    while True:
        await asyncio.sleep(every_s)
        try:
            await step()
            pause_s = _FIRST_PAUSE_S
        except Exception:
            log.exception("the background task “%s” failed; it goes on in %.0f s", name, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
