"""Make engines on fake devices, and ask them."""

from __future__ import annotations

from bot.config import QueueSettings, load_settings
from bot.engine.engine import Engine
from bot.engine.job import Job, Requester
from bot.store.base import NoStore, Store
from bot.tasks.sentiment.task import SentimentRequest
from tests.fakes.executor import FakeDevice, FakeExecutor

ALICE = Requester(user_id=1, guild_id=10)
BOB = Requester(user_id=2, guild_id=10)


def make_engine(
    *devices: FakeDevice, store: Store | None = None, tick_s: float = 1.0, flush_s: float = 1.0, **limits: float
) -> Engine:
    return Engine(
        executor=FakeExecutor(*devices),
        store=store or NoStore(),
        tasks=load_settings().tasks,
        limits=QueueSettings(**{"shutdown_grace_s": 0.0, **limits}),  # type: ignore[arg-type]
        tick_s=tick_s,
        flush_s=flush_s,
    )


def request(text: str = "fine") -> SentimentRequest:
    return SentimentRequest(model="bundled:minilm-sentiment", text=text)


async def ask(engine: Engine, requester: Requester = ALICE, text: str = "fine") -> Job:
    return await engine.submit("sentiment", request(text), requester, reply_to={"somewhere": 1})
