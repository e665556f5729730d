"""Let slow work go on in real time, outside the watch of the simulated Discord.

After each action SimCord waits until the bot has nothing left to do, and meanwhile the bot's timers stand still.
A page that should show a picture being made can't wait like that. So jobs, and the progress shown of them, run in the
context that was there before: SimCord tells by a context variable what belongs to the bot.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ParamSpec, Self, TypeVar

from simcord import Env

from bot.engine.engine import Engine
from bot.engine.job import Job, Requester
from bot.replies.service import Waiting
from bot.tasks.base import Request

Args = ParamSpec("Args")
T = TypeVar("T")


class Outside:
    """Keep the context in which this is made, and run work in it."""

    def __init__(self) -> None:
        self._context = contextvars.copy_context()

    def call(self, function: Callable[Args, T], /, *args: Args.args, **options: Args.kwargs) -> T:
        """Call a function there."""
        return self._context.copy().run(function, *args, **options)

    def spawn(self, work: Awaitable[T]) -> asyncio.Future[T]:
        """Start work there; the future that is returned can be awaited anywhere."""
        return self.call(asyncio.ensure_future, work)


class DemoEngine(Engine):
    """Run jobs outside of the simulation, whoever asks for them."""

    @classmethod
    def of(cls, engine: Engine) -> Self:
        """Return an engine with the parts of another one that wasn't started."""
        demo = cls(executor=engine.executor, store=engine.store, tasks=engine.tasks, limits=engine.limits)
        demo._outside = Outside()
        return demo

    _outside: Outside

    async def submit(
        self, task: str, request: Request, requester: Requester, *, reply_to: Mapping[str, object] | None = None
    ) -> Job:
        """Queue a job, as the engine does."""
        return await self._outside.spawn(super().submit(task, request, requester, reply_to=reply_to))

    def refresh_etas(self) -> None:
        """Bring statuses up to date, as the engine does: by the clock that tells real time."""
        self._outside.call(super().refresh_etas)


def wait_outside(env: Env) -> Waiting:
    """Return how the bot's replies wait for a job, so that the action that asked for it ends at once."""
    outside = Outside()

    async def waiting(wait: Awaitable[Any]) -> None:
        await env.external_wait(outside.spawn(wait), reason="a job")

    return waiting
