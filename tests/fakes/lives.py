"""Live several times on one file of jobs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from simcord import Env

from bot.bot import Bot
from bot.config import Settings
from bot.engine import Engine
from bot.jobs.sql_store import SqlStore
from tests.fakes.executor import FakeDevice
from tests.fakes.simulation import let_wait, make_engine


class Lives:
    """Hold the bot's lives, one after another, on the same file. The next one has the `settings` of then."""

    def __init__(self, settings: Settings, file: Path) -> None:
        self.settings = settings
        self.file = file
        self._stack = AsyncExitStack()

    async def start(self, device: FakeDevice) -> tuple[Engine, Bot]:
        """Make an engine and a bot as `hubcord run` does."""
        engine = make_engine(self.settings, device, SqlStore(f"sqlite+aiosqlite:///{self.file}"))
        unanswered = await engine.start()
        self._stack.push_async_callback(engine.close)
        return engine, Bot(engine=engine, settings=self.settings, unanswered=unanswered, shard_count=1)

    async def stop(self) -> None:
        """Stop the engine properly."""
        await self._stack.aclose()

    async def crash(self, engine: Engine) -> None:
        """Lose the process, just after the store wrote everything."""
        self._stack.pop_all()
        for task in engine._tasks:
            task.cancel()
        await asyncio.gather(*engine._tasks, return_exceptions=True)
        await engine.store.close()

    async def again(self, env: Env, device: FakeDevice) -> Engine:
        """Start the next life."""
        await self.stop()
        engine, bot = await self.start(device)
        let_wait(env, bot, device)
        await env.restart_bot(bot)
        return engine
