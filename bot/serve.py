"""Run the bot on the real Discord until somebody stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import discord
from filelock import FileLock, Timeout
from sqlalchemy.engine import make_url

from bot.bot import Bot
from bot.compose import make_engine, make_store
from bot.config import Settings, discord_token, load_settings
from bot.engine import Engine
from bot.errors import UserError

log = logging.getLogger(__name__)
HEARTBEAT = "alive_at"
HEARTBEAT_S = 15.0
_LAST_WORD_S = 2.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def serve(config: Path | None) -> None:
    """Connect with the token of the environment and serve until SIGINT or SIGTERM; raise UserError."""
    settings = load_settings(config)
    token = discord_token()
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody is spoken to here
    discord.utils.setup_logging(level=logging.getLevelNamesMapping()[settings.discord.log_level])
    async with _engine(settings) as (engine, bot), bot:
        serving = asyncio.create_task(bot.start(token.get_secret_value()), name="bot")
        beating = asyncio.create_task(_beat(bot), name="heartbeat")
        await _until_stopped(serving)
        beating.cancel()
        await engine.drain()
        await bot.close()
        await asyncio.wait([serving], timeout=_LAST_WORD_S)
        if serving.done():
            await _ended(serving)
        serving.cancel()  # it may be sleeping before it tries to connect again


async def sync(config: Path | None) -> None:
    """Register the commands with Discord, changed or not; raise UserError."""
    settings = load_settings(config)
    token = discord_token()
    store = make_store(settings)
    await store.open()
    try:
        async with Bot(engine=make_engine(settings, store=store, eager=False), settings=settings) as bot:
            await _ended(asyncio.create_task(bot.login(token.get_secret_value())))
            await bot.sync_commands()
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[tuple[Engine, Bot]]:
    with _alone_with(settings.store.url):
        engine = make_engine(settings, store=make_store(settings))
        try:
            unanswered = await engine.start()
            yield engine, Bot(engine=engine, settings=settings, unanswered=unanswered)
        finally:
            await engine.close()


@contextlib.contextmanager
def _alone_with(store_url: str) -> Iterator[None]:
    """Keep a second bot off the same SQLite file: both would answer its jobs."""
    url = make_url(store_url)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        yield
        return
    lock = FileLock(f"{url.database}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            "Another hubcord is running with this job store ({path}). Stop it first.", path=url.database
        ) from None
    except OSError as error:
        raise UserError("The job store's folder can't be written: {why}", why=error) from error
    with lock:
        yield


async def _until_stopped(serving: asyncio.Task[None]) -> None:
    """Wait for a signal, or for the connection to end by itself."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt ends the process instead
            loop.add_signal_handler(number, stopped.set)
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    log.info("stopping")


async def _ended(serving: asyncio.Task[None]) -> None:
    """Raise what ended the connection as something that people understand."""
    try:
        await serving
    except discord.LoginFailure:
        raise UserError(
            "Discord refused the token. Reset it in the developer portal and set DISCORD_TOKEN anew."
        ) from None
    except discord.PrivilegedIntentsRequired:
        raise UserError("Discord refused the intents that were asked for.") from None
    except (discord.HTTPException, OSError) as error:
        raise UserError("Discord can't be reached: {why}", why=error) from error


async def _beat(bot: Bot) -> None:
    """Note every few seconds that the bot is connected, for `hubcord health`."""
    while True:
        if bot.is_ready():
            bot.engine.store.keep(HEARTBEAT, time.time())
        await asyncio.sleep(HEARTBEAT_S)
