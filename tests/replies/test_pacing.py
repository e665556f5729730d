"""Test that many who are ready at once don't keep the event loop from others."""

from __future__ import annotations

import asyncio

from bot.replies.pacing import Pacing


async def test_a_newcomer_overtakes_those_who_wait_for_their_turn() -> None:
    turns, went = Pacing(), []

    async def wait(number: int) -> None:
        await turns.next()
        went.append(number)

    crowd = [asyncio.create_task(wait(number)) for number in range(50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(went) < 3
    await asyncio.gather(*crowd)
    assert went == list(range(50))


async def test_one_who_leaves_holds_nobody_up() -> None:
    turns = Pacing()
    first, second, third = (asyncio.create_task(turns.next()) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    async with asyncio.timeout(5):
        await third
