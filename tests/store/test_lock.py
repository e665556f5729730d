"""Test that a job store has one bot at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.errors import UserError
from bot.store import lock
from bot.store.lock import alone_with
from tests.fakes.waiting import until
from tests.store.postgres import Server


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LOOK_EVERY_S", 0.1)


async def test_a_second_bot_is_kept_off(url: str) -> None:
    async with alone_with(url) as lost:
        with pytest.raises(UserError, match="Another hubcord is running"):
            async with alone_with(url):
                pass
        assert not lost.is_set()
    async with alone_with(url):
        pass


async def test_two_databases_have_a_bot_each(sqlite_url: str, postgres_url: str) -> None:
    async with alone_with(sqlite_url), alone_with(postgres_url), alone_with(f"{sqlite_url}2"):
        pass


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder for"):
        async with alone_with(f"sqlite+aiosqlite:///{tmp_path}/nowhere/jobs.db"):
            pass
    assert not (tmp_path / "nowhere").exists()


async def test_a_database_that_is_away_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be reached"):
        async with alone_with(f"postgresql+asyncpg://hubcord@/x?host={tmp_path}"):
            pass


async def test_the_lock_is_taken_again_when_the_database_comes_back(
    postgres_url: str,
    postgres_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken, take = asyncio.Event(), lock._AdvisoryLock.take

    async def tell(self: lock._AdvisoryLock) -> None:
        await take(self)
        taken.set()

    monkeypatch.setattr(lock._AdvisoryLock, "take", tell)
    async with alone_with(postgres_url) as lost:
        taken.clear()
        await asyncio.to_thread(postgres_server.stop)
        await until(lambda: "can't be reached" in caplog.text)
        await asyncio.to_thread(postgres_server.start)
        await asyncio.wait_for(taken.wait(), 10)
        assert not lost.is_set()
        with pytest.raises(UserError, match="Another hubcord is running"):
            async with alone_with(postgres_url):
                pass


async def test_a_bot_that_lost_its_store_to_another_is_told(
    postgres_url: str, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LOOK_EVERY_S", 1.0)
    async with alone_with(postgres_url) as lost:
        await asyncio.to_thread(postgres_server.stop)
        await asyncio.to_thread(postgres_server.start)
        async with alone_with(postgres_url) as others:
            await asyncio.wait_for(lost.wait(), 10)
            assert not others.is_set()
