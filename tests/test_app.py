"""Test what the person who hosts the bot reads when the connection to Discord ends."""

from __future__ import annotations

import asyncio
import logging
from unittest.mock import Mock

import aiohttp
import discord
import pytest

from bot.app import _ended, tell_trouble_briefly
from bot.errors import UserError


def closed(code: int) -> discord.ConnectionClosed:
    return discord.ConnectionClosed(Mock(close_code=code), shard_id=None)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (discord.LoginFailure("no"), "Discord refused the token."),
        (closed(4004), "Discord refused the token."),
        (closed(4011), "Discord ended the connection: Shard ID None WebSocket closed with 4011"),
        (discord.GatewayNotFound(), "Discord can't be reached: The gateway to"),  # type: ignore[no-untyped-call]
        (aiohttp.ServerDisconnectedError(), "Discord can't be reached: Server disconnected"),
    ],
)
async def test_what_ended_the_connection_is_told_in_a_sentence(error: Exception, told: str) -> None:
    serving: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    serving.set_exception(error)
    with pytest.raises(UserError) as found:
        await _ended(serving)  # type: ignore[arg-type]
    assert str(found.value).startswith(told)


@pytest.mark.parametrize(
    ("error", "level", "shown"),
    [
        (
            aiohttp.ServerDisconnectedError(),
            "WARNING",
            "Ignoring 'sentiment': ServerDisconnectedError: Server disconnected",
        ),
        (KeyError("a bug"), "ERROR", "Ignoring 'sentiment'"),
    ],
)
def test_trouble_of_discord_takes_one_line_in_the_log(error: Exception, level: str, shown: str) -> None:
    record = logging.makeLogRecord({"msg": "Ignoring %r", "args": ("sentiment",), "levelno": logging.ERROR})
    record.levelname, record.exc_info = "ERROR", (type(error), error, None)
    assert tell_trouble_briefly(record)
    assert (record.levelname, record.getMessage()) == (level, shown)
    assert (record.exc_info is None) is (level == "WARNING")
