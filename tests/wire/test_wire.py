"""Test `hubcord run` from outside: start, answer, die, come back, stop."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.bundled.prepare import prepare
from tests.fakes.waiting import until
from tests.wire.conversations import Limits
from tests.wire.discord_server import DiscordServer, discord_server
from tests.wire.process import CONFIG, failed_start, family, hubcord, log_of, still_alive

NO_GRACE = f"{CONFIG}[queue]\nshutdown_grace_s = 0\n"
LONG_GRACE = f"{CONFIG}[queue]\nshutdown_grace_s = 60\n"


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    prepare(["minilm-sentiment", "emoji-sd"])
    async with discord_server() as server:
        yield server


def is_drawing(discord: DiscordServer, token: str) -> bool:
    """Say whether a picture's steps are shown."""
    return any("step" in str(edit.get("content")) for edit in discord.edits(token))


@pytest.mark.timeout(240)
async def test_killed_in_the_middle_it_answers_each_job_once(discord: DiscordServer, tmp_path: Path) -> None:
    async with hubcord(discord, tmp_path) as process:
        picture = await discord.slash("imagine", prompt="a red heart", seed=3, steps=200)
        texts = [await discord.slash("sentiment", text=f"good {number}") for number in range(5)]
        await discord.wait_for(lambda: is_drawing(discord, picture))
        worker = family(process)[1:]
        process.kill()
        await process.wait()
        assert await still_alive(worker) == []
    before = [token for token in texts if discord.answers(token)]
    synced, discord.commands = discord.commands, []
    async with hubcord(discord, tmp_path):
        await discord.wait_for(lambda: all(discord.answers(token) for token in (picture, *texts)))
        assert discord.commands == [], "unchanged commands aren't registered again"
    discord.commands = synced
    assert [len(discord.answers(token)) for token in (picture, *texts) if token not in before] == [1] * (
        6 - len(before)
    )
    assert discord.answers(picture)[0]["_files"] == 1
    assert discord.said.posted == []


@pytest.mark.timeout(240)
async def test_it_stops_at_once_while_discord_is_away(discord: DiscordServer, tmp_path: Path) -> None:
    async with hubcord(discord, tmp_path) as process:
        await discord.go_away()
        await until(lambda: "Attempting a reconnect" in log_of(tmp_path))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0


async def test_a_refused_token_is_one_clear_line(tmp_path: Path) -> None:
    code, errors = await failed_start("http://127.0.0.1:9", tmp_path)
    assert code == 1
    assert "Discord can't be reached" in errors
    assert "Traceback" not in errors


@pytest.mark.timeout(240)
async def test_a_stop_finishes_what_runs_and_refuses_what_comes(discord: DiscordServer, tmp_path: Path) -> None:
    async with hubcord(discord, tmp_path, LONG_GRACE) as process:
        picture = await discord.slash("imagine", prompt="a red heart", seed=3, steps=200)
        await discord.wait_for(lambda: is_drawing(discord, picture))
        waiting = await discord.slash("imagine", prompt="a blue heart", seed=3, steps=500)
        await discord.wait_for(lambda: discord.first(waiting))
        process.send_signal(signal.SIGTERM)
        await until(lambda: "stopping" in log_of(tmp_path))
        refused = await discord.slash("sentiment", text="I love this!")
        await discord.wait_for(lambda: discord.first(refused))
        assert "restarting" in str(discord.first(refused))
        assert (discord.first(refused) or {})["data"]["flags"] == 64
        assert await asyncio.wait_for(process.wait(), 90) == 0
    assert len(discord.answers(picture)) == 1
    assert discord.answers(picture)[0]["_files"] == 1
    assert discord.answers(waiting) == []


@pytest.mark.timeout(240)
async def test_a_stop_defers_what_came_just_before(discord: DiscordServer, tmp_path: Path) -> None:
    async with hubcord(discord, tmp_path, NO_GRACE) as process:
        texts = [await discord.slash("sentiment", user=user, text="I love this!") for user in range(100, 200)]
        await discord.wait_for(lambda: discord.first(texts[0]))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    assert [discord.first(token) for token in texts] == [{"type": 5}] * len(texts)
    assert "Traceback" not in log_of(tmp_path)


@pytest.mark.timeout(240)
async def test_a_stop_puts_back_what_takes_longer(discord: DiscordServer, tmp_path: Path) -> None:
    async with hubcord(discord, tmp_path, NO_GRACE) as process:
        picture = await discord.slash("imagine", prompt="a red heart", seed=3, steps=200)
        await discord.wait_for(lambda: is_drawing(discord, picture))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    assert discord.answers(picture) == []
    async with hubcord(discord, tmp_path):
        await discord.wait_for(lambda: discord.answers(picture))
    assert len(discord.answers(picture)) == 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("second", "begun"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
async def test_a_second_signal_ends_at_once(
    discord: DiscordServer, tmp_path: Path, second: signal.Signals, begun: bool
) -> None:
    """While a picture is made, or the worker still starts."""
    async with hubcord(discord, tmp_path) as process:
        picture = await discord.slash("imagine", prompt="a red heart", seed=3, steps=1000)
        await discord.wait_for(lambda: is_drawing(discord, picture) if begun else discord.first(picture))
        everybody = family(process)
        process.send_signal(signal.SIGTERM)
        await until(lambda: "stopping" in log_of(tmp_path))
        assert process.returncode is None
        started = time.monotonic()
        process.send_signal(second)
        assert await asyncio.wait_for(process.wait(), 5) == 128 + second
        assert await still_alive(everybody, 5) == []
        assert time.monotonic() - started < 5


@pytest.mark.timeout(240)
async def test_an_answer_after_the_end_of_its_token_is_posted_once(discord: DiscordServer, tmp_path: Path) -> None:
    """Its place is durable: a start much later, when the nonce is forgotten, uses it again."""
    discord.said.limits = Limits(token_s=3, nonce_s=0)
    async with hubcord(discord, tmp_path) as process:
        token = await discord.slash("imagine", prompt="a red heart", seed=3, steps=200)
        discord.watch = lambda moment: process.kill() if discord.said.posted and moment == ("after", "edit") else None
        await asyncio.wait_for(process.wait(), 60)
    discord.watch = lambda _: None
    async with hubcord(discord, tmp_path):
        interaction = discord.said.interactions[token]
        (late,) = discord.said.late(interaction)
        await discord.wait_for(lambda: late.bodies[-1].get("_files"))
        first = interaction.message
        assert first is not None
        await discord.wait_for(lambda: "The answer is here" in str(first.bodies[-1]))
    assert discord.said.answers(interaction) == 1
    assert len(discord.said.late(interaction)) == 1
    assert late.bodies[0]["content"] == f"<@{interaction.user}> Your answer is ready."
