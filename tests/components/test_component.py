"""Test what clicks have in common with commands, and clicks on what nobody listens to any more."""

from __future__ import annotations

import logging
from typing import Any

import discord
import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.bot import Bot
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import callbacks, message, private_text


async def test_a_click_that_comes_twice_counts_once(
    alice: MemberActor, channel: ChannelHandle, env: Env, bot: Bot, device: FakeDevice, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    came: list[dict[str, Any]] = []
    parsers = bot._connection.parsers
    parse = parsers["INTERACTION_CREATE"]

    def seen(event: Any) -> None:
        came.append(event)
        parse(event)

    parsers["INTERACTION_CREATE"] = seen
    device.hold()
    running = await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(1.1)
    await alice.click(message(running), label="Cancel")
    answered = len(callbacks(env))
    parse(came[-1])
    await env.settle()
    assert len(callbacks(env)) == answered
    assert "came again" in caplog.text
    assert "ERROR" not in {record.levelname for record in caplog.records}


async def test_a_click_that_is_gone_is_no_crash(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, caplog: pytest.LogCaptureFixture
) -> None:
    device.hold()
    running = await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(1.1)
    env.inject_error("POST", "/interactions/*/callback", status=404, code=10062)
    await alice.click(message(running), label="Cancel")
    assert "gone before it could be answered" in caplog.text
    assert "ERROR" not in {record.levelname for record in caplog.records}


async def test_buttons_of_other_versions_are_answered(alice: MemberActor, channel: ChannelHandle, bot: Bot) -> None:
    view = discord.ui.View(timeout=None)
    view.add_item(discord.ui.Button(label="Old", custom_id="hubcord:again:1"))
    place = bot.get_channel(channel.id)
    assert isinstance(place, discord.TextChannel)
    sent = await place.send("A picture", view=view)
    bot._connection._view_store.remove_view(view)
    click = await alice.click(sent, label="Old")
    assert private_text(click) == "This is from another version of this bot. Use the command again."
