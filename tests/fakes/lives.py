"""Live several times on one file of jobs."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from simcord import Env

from bot.bot import Bot
from bot.config import Settings
from bot.engine.engine import Engine
from bot.store.sql import SqlStore
from tests.fakes.executor import FakeDevice
from tests.fakes.simulation import let_wait, make_engine


class Lives:
    """Hold the bot's lives after the first one, on the same file. The next one has the `settings` of then.

    `closing` closes the engine that lives now.
    """

    def __init__(self, settings: Settings, file: Path, closing: AsyncExitStack) -> None:
        self.settings = settings
        self.file = file
        self._closing = closing

    def store(self) -> SqlStore:
        """Return a store on the file."""
        return SqlStore(f"sqlite+aiosqlite:///{self.file}")

    async def crash(self, engine: Engine) -> None:
        """Lose the process, just after the store wrote everything."""
        self._closing.pop_all()
        await engine._background.close()
        await engine._scheduler.close()
        await engine.store.close()

    async def again(self, env: Env, device: FakeDevice) -> Engine:
        """Stop the engine properly if it lives, and start the next life, as `hubcord run` does."""
        await self._closing.aclose()
        engine = make_engine(self.settings, device, self.store())
        unanswered = await engine.start()
        self._closing.push_async_callback(engine.close)
        bot = Bot(engine=engine, settings=self.settings, unanswered=unanswered, shard_count=1)
        let_wait(env, bot, device)
        await env.restart_bot(bot)
        return engine
