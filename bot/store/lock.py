"""Keep a second bot off the same job store: both would answer its jobs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import UserError
from bot.store.database import check_folder, make_database, sqlite_file

log = logging.getLogger(__name__)
LOOK_EVERY_S = 5.0
_KEY = 0x68756263  # "hubc": any number that nobody else locks in this database
_TAKEN = "Another hubcord is running with this job store ({store}). Stop it first."


@contextlib.asynccontextmanager
async def alone_with(store_url: str) -> AsyncIterator[asyncio.Event]:
    """Hold the store while the block runs; raise UserError when another bot does.

    The event is set when the store was lost to another bot meanwhile: then this one must stop.
    """
    url, lost = make_url(store_url), asyncio.Event()
    if url.get_backend_name() == "postgresql":
        async with _advisory_lock(url, lost):
            yield lost
    elif (path := sqlite_file(url)) is not None:
        with _file_lock(path):
            yield lost
    else:
        yield lost


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Lock a file beside SQLite's; the system frees it when the process ends, however that happens."""
    check_folder(path)  # the lock would make it
    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(_TAKEN, store=path) from None
    except OSError as error:
        raise UserError("The job store's folder can't be written: {why}", why=error) from error
    with lock:
        yield


@contextlib.asynccontextmanager
async def _advisory_lock(url: URL, lost: asyncio.Event) -> AsyncIterator[None]:
    """Lock a number in PostgreSQL: its server frees it when the connection ends, so that is watched."""
    lock = _AdvisoryLock(url)
    try:
        await lock.take()
        watching = asyncio.create_task(lock.watch(lost), name="store lock")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    finally:
        await lock.release()


class _AdvisoryLock:
    """Hold the connection that holds the lock."""

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

    async def watch(self, lost: asyncio.Event) -> None:
        """Look now and then whether the connection lives, and lock anew when it doesn't."""
        while not lost.is_set():
            await asyncio.sleep(LOOK_EVERY_S)
            if not await self._alive():
                await self._take_again(lost)

    async def _alive(self) -> bool:
        try:
            return self._connection is not None and await self._connection.scalar(sa.select(1)) == 1
        except (SQLAlchemyError, OSError):
            return False

    async def _take_again(self, lost: asyncio.Event) -> None:
        try:
            await self.release()
            await self.take()
        except UserError as error:
            log.error(str(error))  # noqa: TRY400 - the sentence says it all
            if error.template == _TAKEN:
                lost.set()
