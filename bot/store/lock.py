"""Keep a second bot off the same job store: both would answer its jobs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import UserError
from bot.machine.background import BackgroundTasks
from bot.store.database import check_folder, make_database, make_private, sqlite_file

log = logging.getLogger(__name__)
CHECK_EVERY_S = 5.0
_KEY = 0x68756263  # "hubc": any number that nobody else locks in this database
_TAKEN = "Another hubcord is running with this job store ({store}). Stop it first."
_LINKED = (
    "The job store {store} has another name, a hard link, so a second hubcord could use it unnoticed. Remove one of "
    "the names."
)
_TAKEN_OVER = "Another hubcord has taken over this one's job store, so this one stopped."
_GONE = "The job store's file {store} was removed or moved, so the bot stopped: new jobs would be lost. Start it again."


class StoreLost(asyncio.Event):
    """Be set when the store can't be used any more by this bot; `reason` says why. Then the bot must stop."""

    reason: UserError | None = None

    def lose(self, reason: UserError) -> None:
        """Set the event with its reason."""
        self.reason = reason
        self.set()


@contextlib.asynccontextmanager
async def alone_with(store_url: str, *, check_every_s: float = CHECK_EVERY_S) -> AsyncIterator[StoreLost]:
    """Hold the store while the block runs; raise UserError when another bot does.

    The lock is checked every `check_every_s` seconds. The yielded event is set when the store was lost meanwhile.
    """
    url, lost = make_url(store_url), StoreLost()
    lock: _FileLock | _AdvisoryLock | None = None
    if url.get_backend_name() == "postgresql":
        lock = _AdvisoryLock(url)
    elif (path := sqlite_file(url)) is not None:
        lock = _FileLock(path)
    if lock is None:
        yield lost
        return
    try:
        await lock.take()
        async with _checked(lock.check, lost, check_every_s):
            yield lost
    finally:
        await lock.release()


@contextlib.asynccontextmanager
async def _checked(
    check: Callable[[StoreLost], Awaitable[None]], lost: StoreLost, every_s: float
) -> AsyncIterator[None]:
    async def check_once() -> None:
        if not lost.is_set():
            await check(lost)

    background = BackgroundTasks()
    background.repeat(check_once, every_s=every_s, name="store lock")
    try:
        yield
    finally:
        await background.close()


class _FileLock:
    """Lock a file beside SQLite's. The system frees the lock when the process ends, however that happens.

    SQLite locks its own file, but only while it writes. Symbolic links are followed, so that each database has one
    lock file.
    """

    def __init__(self, path: Path) -> None:
        check_folder(path)  # else the lock makes the folder
        self._path = path.resolve()
        self._lock_path = Path(f"{self._path}.lock")
        self._lock = FileLock(self._lock_path, timeout=0, mode=0o600)
        self._lock_inode = self._database_inode = 0

    async def take(self) -> None:
        """Lock; raise UserError."""
        check_folder(self._path)
        try:
            self._lock.acquire()
            make_private(self._path)
        except Timeout:
            raise UserError(_TAKEN, store=self._path) from None
        except OSError as error:
            raise UserError("The job store's folder can't be written: {why}", why=error) from error
        found = self._path.stat()
        if found.st_nlink > 1:
            raise UserError(_LINKED, store=self._path)
        self._lock_inode, self._database_inode = self._lock_path.stat().st_ino, found.st_ino

    async def release(self) -> None:
        """Unlock."""
        self._lock.release(force=True)

    async def check(self, lost: StoreLost) -> None:
        """Stop the bot when the database is gone; lock anew when only the lock file is."""
        if _inode(self._path) != self._database_inode:
            lost.lose(UserError(_GONE, store=self._path))
        elif _inode(self._lock_path) != self._lock_inode:
            await self._take_again(lost)

    async def _take_again(self, lost: StoreLost) -> None:
        log.warning("the lock of the job store was removed: it is taken again")
        self._lock.release(force=True)
        try:
            await self.take()
        except UserError as error:
            lost.lose(UserError(_TAKEN_OVER) if error.template == _TAKEN else error)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


class _AdvisoryLock:
    """Lock a number in PostgreSQL. The server frees the lock when its connection ends, so the connection is watched."""

    def __init__(self, url: URL) -> None:
        self._name = url.database
        self._database = make_database(url)
        self._connection: AsyncConnection | None = None

    async def take(self) -> None:
        """Connect and lock; raise UserError."""
        try:
            self._connection = connection = await self._database.connect()
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            taken = await connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_KEY)))
        except (SQLAlchemyError, OSError) as error:
            why = str(error).partition("\n")[0]
            raise UserError("The job store can't be reached: {why}", why=why) from error
        if not taken:
            raise UserError(_TAKEN, store=self._name)

    async def release(self) -> None:
        """Disconnect, by which the server frees the lock."""
        if self._connection is not None:
            await self._connection.invalidate()
            await self._connection.close()
        self._connection = None
        await self._database.dispose()

    async def check(self, lost: StoreLost) -> None:
        """Lock anew when the connection has ended."""
        if await self._is_alive():
            return
        try:
            await self.release()
            await self.take()
            log.warning("the connection that locks the job store had ended: the store is locked again")
        except UserError as error:
            log.error(str(error))  # noqa: TRY400 - the sentence says it all
            if error.template == _TAKEN:
                lost.lose(UserError(_TAKEN_OVER))

    async def _is_alive(self) -> bool:
        try:
            return self._connection is not None and await self._connection.scalar(sa.select(1)) == 1
        except (SQLAlchemyError, OSError):
            return False
