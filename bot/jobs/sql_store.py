"""Keep jobs in a database: SQLite in WAL mode by default, any SQLAlchemy URL otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.errors import UserError
from bot.inference.registry import TASKS
from bot.jobs import codec
from bot.jobs.job import Job, JobState, JobStatus, Requester

log = logging.getLogger(__name__)
_DAY_S = 86_400
_metadata = sa.MetaData()
_jobs = sa.Table(
    "jobs",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(32), nullable=False, unique=True),
    sa.Column("task", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("answered", sa.Boolean, nullable=False, default=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("requester", sa.Text, nullable=False),
    sa.Column("reply_to", sa.Text),
    sa.Column("request", sa.LargeBinary),
    sa.Column("result", sa.LargeBinary),
    sa.Column("error", sa.Text),
)
_values = sa.Table("kept", _metadata, sa.Column("key", sa.String(64), primary_key=True), sa.Column("value", sa.Text))


class SqlStore:
    """Keep jobs in the database at `url`. All writes go through one task that commits them in groups."""

    def __init__(self, url: str, *, keep_days: float = 7.0) -> None:
        self._engine: AsyncEngine = create_async_engine(url)
        self._keep_s = keep_days * _DAY_S
        self._writes: asyncio.Queue[tuple[list[sa.Executable], asyncio.Future[None] | None]] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine.sync_engine, "connect", _set_up_sqlite)

    async def open(self) -> None:
        """Connect and make the tables; raise UserError when the database can't be used."""
        self._check_folder()
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(_metadata.create_all)
                old = time.time() - self._keep_s
                await connection.execute(sa.delete(_jobs).where(_jobs.c.created_at < old))
        except (SQLAlchemyError, OSError) as error:
            await self._engine.dispose()
            raise UserError("The job store can't be opened: {why}", why=error) from error
        self._writer = asyncio.create_task(self._write(), name="store writer")

    def _check_folder(self) -> None:
        """Look before SQLite does: its driver's thread may outlive a connection that failed."""
        path = self._engine.url.database if self._engine.dialect.name == "sqlite" else None
        if path and not os.access(Path(path).absolute().parent, os.W_OK):
            raise UserError("The job store can't be opened: there is no folder for {path} to write in.", path=path)

    async def close(self) -> None:
        """Write what is left and disconnect."""
        if self._writer is not None:
            await self._writes.join()
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        await self._engine.dispose()

    async def add(self, job: Job) -> None:
        """Write a new job; it is durable when this returns."""
        request = await asyncio.to_thread(codec.dump, job.request)
        row = {
            "id": job.id,
            "task": job.task,
            "state": job.state,
            "answered": False,
            "attempts": job.attempts,
            "created_at": job.created_at,
            "expires_at": job.expires_at,
            "requester": json.dumps(asdict(job.requester)),
            "reply_to": None if job.reply_to is None else json.dumps(dict(job.reply_to)),
            "request": request,
        }
        written = asyncio.get_running_loop().create_future()
        self._writes.put_nowait(([sa.insert(_jobs).values(row)], written))
        await written

    def save(self, job: Job) -> None:
        """Write a job's state soon."""
        row: dict[str, Any] = {"state": job.state, "attempts": job.attempts}
        try:
            if job.result is not None:
                row["result"] = codec.dump(job.result)
            if job.error is not None:
                row["error"] = codec.dump_error(job.error)
        except (ValueError, TypeError):  # its asker gets the answer all the same, unless the bot dies before
            log.exception("the outcome of job %s can't be stored", job.id)
        self._soon(sa.update(_jobs).where(_jobs.c.id == job.id).values(row))

    def answered(self, job: Job) -> None:
        """Note that a job was answered, and forget its request and result."""
        row = {"answered": True, "request": None, "result": None, "reply_to": None}
        self._soon(sa.update(_jobs).where(_jobs.c.id == job.id).values(row))

    async def unanswered(self) -> list[Job]:
        """Return every job that nobody was answered for, oldest first."""
        query = sa.select(_jobs).where(_jobs.c.answered.is_(False)).order_by(_jobs.c.number)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [job for job in map(_job, rows) if job is not None]

    async def value(self, key: str) -> Any:
        """Return a value that was kept, or None."""
        async with self._engine.connect() as connection:
            text = await connection.scalar(sa.select(_values.c.value).where(_values.c.key == key))
        return None if text is None else json.loads(text)

    def keep(self, key: str, value: Any) -> None:
        """Keep a JSON value soon."""
        text = json.dumps(value)
        self._soon(sa.delete(_values).where(_values.c.key == key), sa.insert(_values).values(key=key, value=text))

    def _soon(self, *statements: sa.Executable) -> None:
        self._writes.put_nowait((list(statements), None))

    async def _write(self) -> None:
        """Commit whatever has gathered, together: a commit costs far more than a row."""
        while True:
            group = [await self._writes.get()]
            while not self._writes.empty():
                group.append(self._writes.get_nowait())
            error = await self._commit([s for statements, _ in group for s in statements])
            for _, written in group:
                _resolve(written, error)
                self._writes.task_done()

    async def _commit(self, statements: list[sa.Executable]) -> Exception | None:
        try:
            async with self._engine.begin() as connection:
                await _execute(connection, statements)
        except (SQLAlchemyError, OSError) as error:
            log.exception("the job store couldn't be written")
            return error
        return None


async def _execute(connection: AsyncConnection, statements: list[sa.Executable]) -> None:
    for statement in statements:
        await connection.execute(statement)


def _resolve(written: asyncio.Future[None] | None, error: Exception | None) -> None:
    if written is None or written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(UserError("The job couldn't be stored. Try again in a moment."))


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    """Let readers and the writer work at once, and survive a kill at any moment."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _job(row: Mapping[Any, Any]) -> Job | None:
    """Read a job back; one that this version can't read is left out, and the log says so."""
    try:
        task = TASKS[row["task"]]
        return Job(
            id=row["id"],
            task=task.name,
            request=codec.load_request(task.request, row["request"]),
            requester=Requester(**json.loads(row["requester"])),
            reply_to=None if row["reply_to"] is None else json.loads(row["reply_to"]),
            created_at=row["created_at"],
            expires_at=row["expires_at"],
            attempts=row["attempts"],
            status=JobStatus(state=JobState(row["state"])),
            result=None if row["result"] is None else codec.load_result(task.result, row["result"]),
            error=None if row["error"] is None else codec.load_error(row["error"]),
        )
    except (KeyError, ValueError, TypeError, UserError):
        log.exception("job %s in the store can't be read", row["id"])
        return None
