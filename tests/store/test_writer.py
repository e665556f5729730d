"""Test that trouble with the database loses nothing that was taken, and that what can't be stored is refused."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from bot.engine.job import JobState
from bot.errors import UserError
from bot.store import database, writer
from bot.store.sql import SqlStore
from tests.fakes.waiting import until
from tests.store.databases import in_the_database
from tests.store.postgres import Server
from tests.store.test_sql import RESULT, left_in, opened, picture_job

FAILS = "can't be written, trying again"
NOT_STORED = "couldn't be stored. Try again"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(writer, "_FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(writer, "_WAIT_S", 0.5)
    monkeypatch.setattr(writer, "_LAST_WRITES_S", 2.0)
    monkeypatch.setattr(database, "_SQLITE", (*database._SQLITE, "busy_timeout=20"))


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as another program would."""
    with sqlite3.connect(file, isolation_level=None) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    connection.close()


async def _tell_sqlite(store: SqlStore, pragma: str) -> None:
    async with store._engine.connect() as connection:
        await connection.exec_driver_sql(f"PRAGMA {pragma}")


async def test_a_locked_file_refuses_jobs_and_keeps_what_happens_to_others(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    taken, refused, after = picture_job(), picture_job(), picture_job()
    async with opened(sqlite_url) as store:
        await store.add(taken)
        with locked(tmp_path / "jobs.db"):
            taken.update(state=JobState.RUNNING)
            store.save(taken)
            with pytest.raises(UserError, match=NOT_STORED):
                await store.add(refused)
            taken.finish(JobState.DONE, result=RESULT)
            store.save(taken)
            await until(lambda: caplog.text.count(FAILS) > 2)
        await until(lambda: not store._writer._failing)
        await store.add(after)
    back = await left_in(sqlite_url)
    assert [job.id for job in back] == [taken.id, after.id]
    assert (back[0].state, back[0].result) == (JobState.DONE, RESULT)


@pytest.mark.parametrize(
    ("trouble", "mended"), [("query_only=ON", "query_only=OFF"), ("max_page_count=1", "max_page_count=100000")]
)
async def test_a_full_or_read_only_disk(
    sqlite_url: str, trouble: str, mended: str, caplog: pytest.LogCaptureFixture
) -> None:
    taken, refused = picture_job(), picture_job(bytes(300_000))
    async with opened(sqlite_url) as store:
        await store.add(taken)
        await _tell_sqlite(store, trouble)
        with pytest.raises(UserError, match=NOT_STORED):
            await store.add(refused)
        store.mark_answered(taken)
        await until(lambda: caplog.text.count(FAILS) > 1 or not store._writer._failing)  # a full disk may take this
        await _tell_sqlite(store, mended)
    assert await left_in(sqlite_url) == []
    assert "token" not in caplog.text


async def test_while_the_store_fails_jobs_are_refused_at_once(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_WAIT_S", 1_000.0)
    async with opened(sqlite_url) as store:
        with locked(tmp_path / "jobs.db"):
            store.set_value("x", 1)
            await until(lambda: store._writer._failing)
            async with asyncio.timeout(10):
                for _ in range(10):
                    with pytest.raises(UserError, match=NOT_STORED):
                        await store.add(picture_job())


async def test_what_cannot_be_written_before_the_end_is_in_the_log(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "_LAST_WRITES_S", 0.1)
    async with opened(sqlite_url) as store:
        with locked(tmp_path / "jobs.db"):
            store.set_value("x", 1)
            store.set_value("y", 1)
            await store.close()
    assert "2 changes couldn't be written" in caplog.text


async def test_a_job_whose_caller_left_is_not_kept(url: str) -> None:
    async with opened(url) as store:
        adding = asyncio.create_task(store.add(picture_job()))
        await until(lambda: store._writer._group, every_s=0)
        adding.cancel()
        await asyncio.gather(adding, return_exceptions=True)
    assert await left_in(url) == []


async def test_a_commit_whose_confirmation_was_lost_is_undone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The asker was told that the job wasn't taken, so it may not run after the next start."""
    commit = writer.Writer._commit
    lost: list[bool] = []

    async def commit_and_fail(self: writer.Writer, group: list[writer.Write]) -> None:
        await commit(self, group)
        if not lost:
            lost.append(True)
            raise ConnectionResetError

    async with opened(url) as store:
        monkeypatch.setattr(writer.Writer, "_commit", commit_and_fail)
        with pytest.raises(UserError, match=NOT_STORED):
            await store.add(picture_job())
    assert await left_in(url) == []


async def test_one_write_that_no_database_takes_is_left_out(url: str, caplog: pytest.LogCaptureFixture) -> None:
    first, twin, last = picture_job(), picture_job(), picture_job()
    twin.id = first.id
    async with opened(url) as store:
        results = await asyncio.gather(*map(store.add, (first, twin, last)), return_exceptions=True)
        store.set_value("x", 1)
    assert [type(result) for result in results] == [type(None), UserError, type(None)]
    assert {job.id for job in await left_in(url)} == {first.id, last.id}
    assert await in_the_database(url, "SELECT value FROM kept") == [("1",)]
    assert "can't be written to the job store" in caplog.text
    assert "token" not in caplog.text


async def test_many_writes_share_commits(url: str) -> None:
    commits = 0

    def count(_connection: sa.Connection) -> None:
        nonlocal commits
        commits += 1

    async with opened(url) as store:
        sa.event.listen(store._engine.sync_engine, "commit", count)
        await asyncio.gather(*(store.add(picture_job()) for _ in range(100)))
    assert commits < 50
    assert len(await left_in(url)) == 100


async def test_postgresql_goes_and_comes_back(postgres_url: str, postgres_server: Server) -> None:
    taken, refused, after = picture_job(), picture_job(), picture_job()
    async with opened(postgres_url) as store:
        await store.add(taken)
        await asyncio.to_thread(postgres_server.stop)
        try:
            taken.finish(JobState.DONE, result=RESULT)
            store.save(taken)
            with pytest.raises(UserError, match=NOT_STORED):
                await store.add(refused)
            store.mark_answered(taken)
        finally:
            await asyncio.to_thread(postgres_server.start)
        await until(lambda: not store._writer._failing)
        await store.add(after)
    assert [job.id for job in await left_in(postgres_url)] == [after.id]


async def test_postgresql_ends_connections(postgres_url: str, postgres_server: Server) -> None:
    """As an administrator or a failing-over proxy does."""
    async with opened(postgres_url) as store:
        await store.add(picture_job())
        admin = create_async_engine(postgres_server.url("postgres"))
        async with admin.connect() as connection:
            await connection.execute(
                sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            )
        await admin.dispose()
        await store.add(picture_job())
    assert len(await left_in(postgres_url)) == 2
