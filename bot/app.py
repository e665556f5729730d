"""Run the bot on the real Discord until somebody stops it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import discord

from bot.bot import Bot
from bot.client.tree import NETWORK_ERRORS
from bot.config import DEFAULT_FILE, TOKEN_VARIABLE, Settings, discord_token, load_settings
from bot.engine.engine import Engine
from bot.errors import UserError, one_line
from bot.hub.download.fetch_ahead import FetchAhead, default_models
from bot.machine.background import BackgroundTasks
from bot.machine.malloc import use_one_heap
from bot.store.heartbeat import HEARTBEAT, HEARTBEAT_S
from bot.store.lock import alone_with
from bot.wiring import make_engine, make_store

log = logging.getLogger(__name__)
_LAST_WORD_S = 2.0
_TALKATIVE = ("aiosqlite", "discord.gateway", "discord.webhook")
_ALARMED = ("discord.app_commands.tree", "discord.client", "discord.shard")
"""What logs trouble of Discord's in full: choices that come too late for who types, each try to connect again."""
_NOT_AUTHENTICATED = 4004
_REFUSED = "Discord refused the token. Reset it in the developer portal and set DISCORD_TOKEN anew."
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def serve(config: Path | None) -> None:
    """Connect with the token of the environment and serve until SIGINT or SIGTERM; raise UserError."""
    use_one_heap()
    settings = load_settings(config)
    token = discord_token()
    del os.environ[TOKEN_VARIABLE]  # workers and downloads inherit what is there, and have no use for it
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody is spoken to here
    discord.utils.setup_logging(level=logging.getLevelNamesMapping()[settings.discord.log_level])
    _keep_tokens_out_of_the_log()
    for name in _ALARMED:
        logging.getLogger(name).addFilter(tell_trouble_briefly)
    if config is None and not DEFAULT_FILE.is_file():
        log.info("there is no %s here: the bundled models are used", DEFAULT_FILE)
    stopped = _stop_at_signals()
    async with alone_with(settings.store.url) as lost, _engine(settings) as (engine, bot), bot:
        serving = asyncio.create_task(bot.start(token.get_secret_value()), name="bot")
        background = BackgroundTasks()
        background.spawn(_on_first_ready(bot), name="first ready")
        background.repeat(lambda: _beat(bot), every_s=HEARTBEAT_S, name="heartbeat")
        await _until_one(serving, stopped, lost)
        await background.close()
        await _stop(engine, bot, serving)
        if lost.reason is not None:
            raise lost.reason


async def _stop(engine: Engine, bot: Bot, serving: asyncio.Task[None]) -> None:
    """Let what runs end and be answered, and disconnect; raise UserError if the connection had ended by itself."""
    by_itself = serving.done()
    log.info("stopping")
    await engine.drain()
    await bot.close()
    if by_itself:
        await _ended(serving)
    await asyncio.wait([serving], timeout=_LAST_WORD_S)
    serving.cancel()  # it may be sleeping before it tries to connect again
    await asyncio.gather(serving, return_exceptions=True)


async def sync(config: Path | None) -> None:
    """Register the commands with Discord, changed or not; raise UserError."""
    settings = load_settings(config)
    token = discord_token()
    store = make_store(settings)
    await store.open()
    try:
        async with Bot(engine=make_engine(settings, store=store, eager=False), settings=settings) as bot:
            await _ended(asyncio.create_task(bot.login(token.get_secret_value())))
            failed = await bot.sync_commands()
    finally:
        await store.close()
    if failed:
        raise UserError(
            "The commands couldn't be registered in: {servers}. Invite the bot there, or take them out of guilds in "
            "[discord].",
            servers=", ".join(map(str, failed)),
        )


@contextlib.asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[tuple[Engine, Bot]]:
    engine = make_engine(settings, store=make_store(settings))
    try:
        wanted, trusted = default_models(settings), settings.hub.trusted_torchhub
        async with FetchAhead(wanted, engine.update_downloads, engine.failure_log.log_once, trusted) as ahead:
            unanswered = await engine.start()
            ahead.start()
            yield engine, Bot(engine=engine, settings=settings, unanswered=unanswered)
    finally:
        await engine.close()


def _keep_tokens_out_of_the_log() -> None:
    """Silence what would log interactions with the tokens that answer them: as events, in addresses and in rows."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.getLogger().level, logging.INFO))


def tell_trouble_briefly(record: logging.LogRecord) -> bool:
    """Shorten a log record about trouble of Discord's to one line, as a warning."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, NETWORK_ERRORS):
        record.msg, record.args, record.exc_info = f"{record.getMessage()}: {one_line(error)}", (), None
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
    return True


def _stop_at_signals() -> asyncio.Event:
    """Return what the first SIGINT or SIGTERM sets; a second one ends everything at once."""
    stopped = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        if stopped.is_set():
            _end_at_once(number)
        stopped.set()

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt ends the process instead
            loop.add_signal_handler(number, stop, number)
    return stopped


def _end_at_once(number: signal.Signals) -> None:
    """Leave without a good-bye; what wasn't written runs again after the next start."""
    for worker in multiprocessing.active_children():
        worker.kill()
    os._exit(128 + number)


async def _until_one(serving: asyncio.Task[None], *events: asyncio.Event) -> None:
    """Wait for one of the events, or for the connection to end by itself."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait([serving, *waiting], return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


async def _ended(serving: asyncio.Task[None]) -> None:
    """Raise what ended the connection as something that people understand."""
    try:
        await serving
    except discord.LoginFailure:
        raise UserError(_REFUSED) from None
    except discord.PrivilegedIntentsRequired:
        raise UserError("Discord refused the intents that were asked for.") from None
    except discord.ConnectionClosed as error:
        if error.code == _NOT_AUTHENTICATED:
            raise UserError(_REFUSED) from None
        raise UserError("Discord ended the connection: {why}", why=error) from error
    except (discord.HTTPException, discord.GatewayNotFound, aiohttp.ClientError, OSError) as error:
        raise UserError("Discord can't be reached: {why}", why=error) from error


async def _on_first_ready(bot: Bot) -> None:
    """Beat at once, and leave all that was loaded to no later garbage collection: each would stop the loop 0.1 s."""
    await bot.wait_until_ready()
    gc.freeze()
    await _beat(bot)


async def _beat(bot: Bot) -> None:
    """Note that the bot is connected, for `hubcord health`."""
    if bot.is_ready():
        bot.engine.store.set_value(HEARTBEAT, time.time())
