"""Connect the bot to a simulated Discord, and check afterwards what it did there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import discord
import pytest
import simcord.http.client
from discord import app_commands
from simcord import Env

from bot.bot import Bot
from bot.config import Settings
from bot.engine.engine import Engine
from bot.errors import UserError
from bot.store.base import Store
from tests.fakes.description import load_description
from tests.fakes.executor import FakeDevice, FakeExecutor
from tests.fakes.rules import problems

_LOOK_S = 0.005
"""How often SimCord looks whether the bot is done with what somebody did. Its own 0.05 s are a third of such a test."""


def make_engine(settings: Settings, device: FakeDevice, store: Store) -> Engine:
    """Return an engine with one fake device. It never ticks: a tick would go by real time, not by SimCord's."""
    executor = FakeExecutor(device)
    return Engine(executor=executor, store=store, tasks=settings.tasks, limits=settings.queue, tick_s=3_600)


def raise_server_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise DiscordServerError for status 500 and above, as discord.py does; SimCord raises its parent."""
    raise_for = simcord.http.client._raise_for

    def raised(error: simcord.BackendError) -> None:
        if error.status >= 500:
            response: Any = simcord.http.client._FakeResponse(error.status)
            raise discord.DiscordServerError(response, error.to_json())
        raise_for(error)

    monkeypatch.setattr(simcord.http.client, "_raise_for", raised)


def let_wait(env: Env, bot: Bot, device: FakeDevice) -> None:
    """Tell SimCord which waits are meant, so that an action returns while a job is held.

    Timers inside such a wait run on `env.advance_time` alone.
    """

    async def waiting(wait: Awaitable[Any]) -> Any:
        if asyncio.current_task() not in env._work.tasks:
            return await wait
        return await env.external_wait(wait, reason="a job is on the device")

    bot.replies.waiting = waiting
    device.waiting = waiting


@asynccontextmanager
async def simulated(env: Env) -> AsyncIterator[Env]:
    """Connect the bot to a simulated Discord; afterwards check its errors and every request that it sent."""
    env._settle_internal = partial(env._settle_internal, idle=_LOOK_S)  # type: ignore[method-assign]
    await env.start()
    try:
        yield env
    finally:
        await env.shutdown()
    check_errors(env)
    check_requests(env)


def check_errors(env: Env) -> None:
    """Raise what commands raised beyond sentences for people; reading `env.errors` excuses what came before."""
    unexpected = [e for e in env.errors_since(env._errors_acknowledged) if not _for_people(e)]
    if unexpected:
        raise BaseExceptionGroup("the bot raised", unexpected)


def _for_people(error: BaseException) -> bool:
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    return isinstance(cause, UserError)


def check_requests(env: Env) -> None:
    """Hold every request of the bot against Discord's rules."""
    description = load_description()
    for entry in env.http_requests:
        found = list(problems(entry))
        if problem := description.problem(entry):
            found.append(problem)
        assert not found, f"{entry.method} {entry.path}: {found}\n{entry.json}"
