"""Test that the preview page takes actions while it is published, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from simcord import Env, Preview
from simcord.actors import MemberActor
from simcord.builders import ChannelHandle

from bot.bot import Bot
from bot.demo.live_page import LivePage
from tests.fakes.waiting import until


@pytest.fixture
async def preview(env: Env, channel: ChannelHandle, alice: MemberActor) -> AsyncIterator[Preview]:
    preview = env.preview(channel, viewers=[alice], layout="channel")
    async with preview, LivePage(env, preview):
        yield preview


def resize(page: Any, sequence: int) -> dict[str, Any]:
    """Return an action that the browser begins on what it sees now."""
    return {
        "protocol_version": 3, "sequence": sequence, "request_id": f"request {sequence}",
        "kind": "configure_presentation", "generation": page.generation, "bot_generation": 1,
        "published_revision": page.revision, "layout": "channel", "display": "responsive",
        "width": 960, "height": 720, "host_width": 960, "host_height": 720,
    }  # fmt: skip


async def test_an_action_counts_that_was_begun_before_a_publication(preview: Preview, alice: MemberActor) -> None:
    page = preview._open_page(alice.id, None)
    action = resize(page, 1)
    await preview.refresh()
    receipt = await preview._action(page.id, action)
    assert (receipt["rejected"], receipt["settlement"]) == (False, "settled")


async def test_actions_of_two_pages_take_turns(preview: Preview, alice: MemberActor) -> None:
    pages = [preview._open_page(alice.id, None) for _ in range(2)]
    receipts = await asyncio.gather(*(preview._action(page.id, resize(page, 1)) for page in pages))
    assert [receipt["rejected"] for receipt in receipts] == [False, False]


async def test_what_the_bot_posts_is_published_soon(
    preview: Preview, bot: Bot, channel: ChannelHandle, alice: MemberActor
) -> None:
    page = preview._open_page(alice.id, None)
    await bot.get_partial_messageable(channel.id).send("Hello.")
    await until(lambda: "Hello." in str(page.snapshot["messages"]), within_s=30)


async def test_the_clock_tells_the_present(env: Env, preview: Preview, alice: MemberActor) -> None:
    page = preview._open_page(alice.id, None)
    await preview._action(page.id, resize(page, 1))
    assert abs(datetime.now(UTC) - env.now()) < timedelta(seconds=5)
