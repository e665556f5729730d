"""Hold one session of the demo together: the engine with its worker, the simulated Discord, and the page."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import webbrowser
from collections.abc import AsyncIterator

import simcord
import typer
from babel.localtime import LOCALTZ
from simcord import Env, Preview

from bot.bot import Bot
from bot.config import Settings, parse_settings
from bot.demo.guild import EXAMPLES, set_stage
from bot.demo.live_page import LivePage, set_clock
from bot.demo.realtime import DemoEngine, wait_outside
from bot.demo.warmup import warm_up
from bot.engine.engine import Engine
from bot.errors import UserError
from bot.wiring import make_engine

_SETTLE_TIMEOUT_S = 120.0
_SETTINGS = {"devices": {"use": ["cpu"]}, "queue": {"shutdown_grace_s": 0}}


async def hold(*, port: int, open_browser: bool) -> None:
    """Serve the demo until its page ends the session or this is cancelled; raise UserError."""
    settings = parse_settings(_SETTINGS)
    async with _engine(settings) as engine, _simulation(engine, settings) as env, _page(env, port) as preview:
        typer.echo("Starting the models…", err=True)
        async with warm_up(engine, settings):
            _announce(preview.url)
            if open_browser and _has_display():
                await asyncio.to_thread(webbrowser.open, preview.url)
            await preview.wait_closed()


@contextlib.asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[Engine]:
    engine = DemoEngine.of(make_engine(settings))
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()


@contextlib.asynccontextmanager
async def _simulation(engine: Engine, settings: Settings) -> AsyncIterator[Env]:
    """Connect the bot to a simulated Discord."""
    bot = Bot(engine=engine, settings=settings, shard_count=1)
    async with simcord.run(bot, settle_timeout=_SETTLE_TIMEOUT_S, check_errors=False) as env:
        bot.replies.waiting = wait_outside(env)
        vars(bot.tree).pop("on_error")  # SimCord's: it calls an action failed that was answered with a friendly error
        await set_clock(env)
        yield env


@contextlib.asynccontextmanager
async def _page(env: Env, port: int) -> AsyncIterator[Preview]:
    """Serve a channel of the simulated Discord; a port that is taken is a UserError."""
    stage = await set_stage(env)
    timezone = getattr(LOCALTZ, "key", None) or "UTC"
    preview = env.preview(stage.channel, viewers=stage.viewers, layout="channel", timezone=timezone, port=port)
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(preview)
        except simcord.SetupError as error:
            raise _explained(error, port) from None
        await stack.enter_async_context(LivePage(env, preview))
        yield preview


def _explained(error: simcord.SetupError, port: int) -> UserError:
    if isinstance(error.__cause__, OSError):
        return UserError("Port {port} is taken or not allowed. Choose another with --port.", port=port)
    return UserError("The page can't be served: {why}", why=error)


def _announce(url: str) -> None:
    typer.echo(f"The demo runs at {url}")
    typer.echo(f"  Pictures for /classify: {EXAMPLES}\n  Ctrl-C ends it.", err=True)


def _has_display() -> bool:
    return sys.platform in {"win32", "darwin"} or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
