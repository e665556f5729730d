"""Test that databases of every age are brought up to date, and newer ones left alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from bot.errors import UserError
from bot.store import migrate as migration
from bot.store.schema import NEWEST, metadata
from bot.store.sql import SqlStore
from tests.store.databases import in_the_database
from tests.store.test_sql import left_in, opened, picture_job

ROOT = Path(__file__).parents[2]


async def test_the_migrations_make_the_tables_of_the_code(url: str) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(migration._upgrade)
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_a_new_database_counts_as_migrated(url: str) -> None:
    def heads(connection: sa.Connection) -> tuple[str, ...]:
        return MigrationContext.configure(connection).get_current_heads()

    async with opened(url):
        pass
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        assert await connection.run_sync(heads) == (NEWEST,)
        await connection.run_sync(migration._upgrade)  # has nothing to do
    await engine.dispose()


def test_the_newest_version_is_the_last_migration() -> None:
    assert ScriptDirectory(str(migration._SCRIPTS)).get_heads() == [NEWEST]


async def test_a_database_without_a_version_is_taken_over(url: str) -> None:
    """Version 0.1.0 made its tables without a version."""
    job = picture_job()
    async with opened(url) as store:
        await store.add(job)
    await in_the_database(url, "DROP TABLE alembic_version")
    (back,) = await left_in(url)
    assert back.id == job.id
    assert [tuple(row) for row in await in_the_database(url, "SELECT * FROM alembic_version")] == [(NEWEST,)]


async def test_a_newer_database_stops_the_start(url: str) -> None:
    async with opened(url):
        pass
    await in_the_database(url, "UPDATE alembic_version SET version_num = '9000'")
    store = SqlStore(url)
    for use in (store.open, store.schema_state):
        with pytest.raises(UserError, match=r"newer hubcord .*9000.*Update hubcord"):
            await use()
    await store.close()


async def test_a_migration_that_fails_leaves_the_database_as_it_was(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: sa.Connection) -> None:
        upgrade(connection)
        connection.execute(sa.text("SELECT nonsense"))

    upgrade = migration._upgrade
    async with opened(url):
        pass
    await in_the_database(url, "DROP TABLE alembic_version")
    monkeypatch.setattr(migration, "_upgrade", broken)
    store = SqlStore(url)
    with pytest.raises(UserError, match="can't be opened"):
        await store.open()
    await store.close()
    monkeypatch.undo()
    assert await left_in(url) == []


def test_alembic_is_loaded_only_for_a_database_of_an_older_version(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from bot.store.sql import SqlStore\n"
        "async def main():\n"
        "    store = SqlStore('sqlite+aiosqlite:///jobs.db'); await store.open(); await store.close()\n"
        "asyncio.run(main()); print('alembic' in sys.modules)"
    )

    def run() -> str:
        command = [sys.executable, "-c", script]
        return subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
        ).stdout.strip()

    loaded = [run(), run()]
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as database:
        database.execute("DROP TABLE alembic_version")
    assert [*loaded, run()] == ["False", "False", "True"]
