"""Connect to the database of a URL, set up for what the job store needs of it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.errors import UserError

log = logging.getLogger(__name__)
_SQLITE = (
    "journal_mode=WAL",  # readers and the writer work at once, and a kill at any moment breaks nothing
    "synchronous=NORMAL",
    "busy_timeout=5000",
    "secure_delete=ON",  # the texts and pictures of answered jobs are overwritten, their pages used again
    "journal_size_limit=4194304",  # the write-ahead log shrinks again after large pictures
)
_POSTGRESQL: dict[str, Any] = {  # in seconds: a server that doesn't answer counts as gone, a bot to its server too
    "timeout": 5,
    "command_timeout": 30,
    "server_settings": {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"},
}


def make_database(url: str | URL) -> AsyncEngine:
    """Return SQLAlchemy's engine; it connects when it is first used.

    What is stored holds the tokens that answer interactions, and what people asked: its errors don't quote it.
    """
    url = make_url(url)
    if url.get_backend_name() != "sqlite":
        options = _POSTGRESQL if url.get_driver_name() == "asyncpg" else {}
        return create_async_engine(url, pool_pre_ping=True, connect_args=options, hide_parameters=True)
    database = create_async_engine(url, hide_parameters=True)
    sa.event.listen(database.sync_engine, "connect", _set_up_sqlite)
    sa.event.listen(database.sync_engine, "begin", _begin)
    return database


def sqlite_file(url: URL) -> Path | None:
    """Return the file that SQLite keeps the tables in; None when it is in memory, or another database."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def make_private(path: Path) -> None:
    """Let only the bot's account read the database: it holds people's words and the tokens that answer them.

    SQLite gives its write-ahead log and shared memory the mode of the database.
    """
    path.touch(mode=0o600)
    for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        if file.exists() and file.stat().st_mode & 0o077:
            try:
                file.chmod(0o600)
            except PermissionError:
                log.warning("other accounts of this machine may read %s, which belongs to another account", file)


def check_folder(path: Path | None) -> None:
    """Raise UserError when SQLite couldn't make its file: its driver's thread may outlive a connection that failed."""
    if path is not None and not os.access(path.absolute().parent, os.W_OK):
        raise UserError("The job store can't be opened: there is no folder for {path} to write in.", path=path)


def first_line(error: Exception) -> str:
    """Return what an error says first: SQLAlchemy adds the statement and a link, PostgreSQL what is in the row."""
    return str(error).partition("\n")[0]


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # else the driver commits before each change of a table
    cursor = connection.cursor()
    for pragma in _SQLITE:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
