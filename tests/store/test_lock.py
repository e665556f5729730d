"""Test that a job store has one bot at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.errors import UserError
from bot.store.lock import alone_with
from bot.store.sql import SqlStore
from tests.fakes.waiting import until
from tests.store.postgres import Server

QUICK_S = 0.05


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


@pytest.mark.parametrize("make_name", [Path.symlink_to, Path.hardlink_to])
async def test_another_name_of_the_file_is_no_way_around(
    make_name: Callable[[Path, Path], None], sqlite_url: str, tmp_path: Path
) -> None:
    async with alone_with(sqlite_url):
        make_name(tmp_path / "other.db", tmp_path / "jobs.db")
        with pytest.raises(UserError, match=r"Another hubcord is running|has another name"):
            async with alone_with(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}"):
                pass


async def test_a_removed_lock_file_is_made_again(sqlite_url: str, tmp_path: Path) -> None:
    async with alone_with(sqlite_url, check_every_s=QUICK_S) as lost:
        file = tmp_path / "jobs.db.lock"
        file.unlink()
        await until(file.exists)
        with pytest.raises(UserError, match="Another hubcord is running"):
            async with alone_with(sqlite_url):
                pass
        assert not lost.is_set()


async def test_a_removed_lock_that_another_bot_took_stops_this_one(sqlite_url: str, tmp_path: Path) -> None:
    async with alone_with(sqlite_url, check_every_s=QUICK_S) as lost:
        (tmp_path / "jobs.db.lock").unlink()
        async with alone_with(sqlite_url, check_every_s=60):
            await asyncio.wait_for(lost.wait(), 10)
        assert "taken over" in str(lost.reason)


@pytest.mark.parametrize("remove", [Path.unlink, lambda path: path.rename(path.with_name("moved.db"))])
async def test_a_database_that_is_gone_stops_the_bot(
    remove: Callable[[Path], object], sqlite_url: str, tmp_path: Path
) -> None:
    async with alone_with(sqlite_url, check_every_s=QUICK_S) as lost:
        remove(tmp_path / "jobs.db")
        await asyncio.wait_for(lost.wait(), 10)
        assert "was removed or moved" in str(lost.reason)


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_only_the_bots_account_reads_the_files(sqlite_url: str, tmp_path: Path) -> None:
    for name in ("jobs.db", "jobs.db-wal", "jobs.db-shm"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)  # as an earlier version made them
    async with alone_with(sqlite_url):
        store = SqlStore(sqlite_url)
        await store.open()
        store.set_value("x", 1)
        await store.flush()
        modes = await asyncio.to_thread(_modes, tmp_path)
        await store.close()
    assert modes == dict.fromkeys(("jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db.lock"), 0o600)


async def test_a_store_that_is_opened_without_the_lock_is_private_too(sqlite_url: str, tmp_path: Path) -> None:
    """As `hubcord sync` does."""
    store = SqlStore(sqlite_url)
    await store.open()
    modes = await asyncio.to_thread(_modes, tmp_path)
    await store.close()
    assert set(modes.values()) == {0o600}


async def test_the_lock_is_taken_again_when_the_database_comes_back(
    postgres_url: str, postgres_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with alone_with(postgres_url, check_every_s=QUICK_S) as lost:
        await asyncio.to_thread(postgres_server.stop)
        await until(lambda: "can't be reached" in caplog.text)
        await asyncio.to_thread(postgres_server.start)
        await until(lambda: "locked again" in caplog.text)
        with pytest.raises(UserError, match="Another hubcord is running"):
            async with alone_with(postgres_url):
                pass
        assert not lost.is_set()


async def test_a_bot_that_lost_its_store_to_another_is_told(postgres_url: str, postgres_server: Server) -> None:
    async with alone_with(postgres_url, check_every_s=1.0) as lost:
        await asyncio.to_thread(postgres_server.stop)
        await asyncio.to_thread(postgres_server.start)
        async with alone_with(postgres_url, check_every_s=QUICK_S) as others:
            await asyncio.wait_for(lost.wait(), 10)
            assert not others.is_set()
