"""Keep jobs in a database: SQLite in WAL mode by default, PostgreSQL by its URL."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.engine.job import Job, JobState
from bot.errors import BadInput, UserError
from bot.store import codec
from bot.store.database import check_folder, first_line, make_database, make_private, sqlite_file
from bot.store.migrate import migrate, version_of
from bot.store.rows import read_job
from bot.store.schema import NEWEST, jobs, values
from bot.store.writer import Writer
from bot.tasks.base import Request
from bot.tasks.registry import TASKS

log = logging.getLogger(__name__)
_DAY_S = 86_400
_SWEEP_EVERY_S = _DAY_S
_NO_TEXT = "There are characters in this that are no text (half of a pair). Remove them and try again."
_INSERT = sa.insert(jobs)
_ROW = sa.select(jobs).where(jobs.c.id == sa.bindparam("job_id"))
_REQUEST = sa.select(jobs.c.request).where(jobs.c.id == sa.bindparam("job_id"))
_UPDATE = sa.update(jobs).where(jobs.c.id == sa.bindparam("job_id"), jobs.c.answered.is_(False))
_DELETE = sa.delete(jobs).where(jobs.c.id == sa.bindparam("job_id"))
_SWEEP = sa.delete(jobs).where(jobs.c.answered, jobs.c.created_at < sa.bindparam("before"))
_KEEP = sa.insert(values)
_KEEP_NOT = sa.delete(values).where(values.c.key == sa.bindparam("kept"))


class SqlStore:
    """Keep jobs in the database at `url`. All writes go through one task that commits them in groups."""

    def __init__(self, url: str, *, keep_days: float = 7.0) -> None:
        self._engine: AsyncEngine = make_database(url)
        self._keep_s = keep_days * _DAY_S
        self._writer = Writer(self._engine)
        self._sweeping: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Connect and bring the tables up to date; raise UserError when the database can't be used."""
        if (path := sqlite_file(self._engine.url)) is not None:
            check_folder(path)
            make_private(path)
        try:
            async with self._connected("opened") as connection:
                await connection.run_sync(migrate)
                await connection.execute(_SWEEP, self._old())
                await connection.commit()
        except UserError:
            await self._engine.dispose()
            raise
        self._writer.start()
        self._sweep_later()

    async def close(self) -> None:
        """Write what is left and disconnect."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self._writer.close()
        await self._engine.dispose()

    async def schema_state(self) -> Literal["new", "old", "current"]:
        """Say what the next start finds, without changing anything; raise UserError when it would fail."""
        path = sqlite_file(self._engine.url)
        if path is not None and not path.exists():
            check_folder(path)
            return "new"
        async with self._connected("opened") as connection:
            version = await connection.run_sync(version_of)
            if version != NEWEST:
                return "old"
            await connection.execute(sa.delete(values).where(values.c.key == ""))  # fails where nothing can be written
            await connection.rollback()
        return "current"

    async def add(self, job: Job) -> None:
        """Write a new job; it is durable when this returns. Raise UserError when it can't be stored."""
        quick = codec.is_quick(job.request)
        try:
            request = codec.dump(job.request) if quick else await asyncio.to_thread(codec.dump, job.request)
        except ValueError:
            raise BadInput(_NO_TEXT) from None
        row = {
            "id": job.id,
            "task": job.task,
            "state": _state(job),
            "answered": False,
            "attempts": job.attempts,
            "created_at": job.created_at,
            "expires_at": job.expires_at,
            "requester": json.dumps(asdict(job.requester)),
            "reply_to": _address(job),
            "request": request,
        }
        await self._writer.now((_INSERT, row), undo=(_DELETE, {"job_id": job.id}))

    def save(self, job: Job) -> None:
        """Write a job's state soon; what comes after its answer changes nothing more."""
        row: dict[str, Any] = {"job_id": job.id, "state": _state(job), "attempts": job.attempts}
        if job.result is None or codec.is_quick(job.result):
            self._writer.soon((_UPDATE, row | _outcome(job)))
        else:
            self._writer.soon_made(lambda: [(_UPDATE, row | _outcome(job))])

    def update_address(self, job: Job) -> None:
        """Write soon where a job's answer goes."""
        self._writer.soon((_UPDATE, {"job_id": job.id, "reply_to": _address(job)}))

    async def flush(self) -> None:
        """Return when everything until now is durable, however long that takes."""
        await self._writer.flush()

    def mark_answered(self, job: Job) -> None:
        """Note that a job was answered, and forget its request and result."""
        row = {"job_id": job.id, "answered": True, "request": None, "result": None, "reply_to": None}
        self._writer.soon((_UPDATE, row))

    async def unanswered(self) -> AsyncIterator[Job]:
        """Yield the unanswered jobs, oldest first; one row at a time is in memory."""
        query = sa.select(jobs.c.id).where(jobs.c.answered.is_(False)).order_by(jobs.c.number)
        async with self._connected("read") as connection:
            for job_id in (await connection.scalars(query)).all():
                row = (await connection.execute(_ROW, {"job_id": job_id})).mappings().one()
                job = await asyncio.to_thread(read_job, row)  # base64 of a picture takes a while
                if job is not None:
                    yield job

    async def load_request(self, job: Job) -> Request:
        """Return a job's request with its whole input; raise UserError when it can't be read."""
        async with self._connected("read") as connection:
            data = await connection.scalar(_REQUEST, {"job_id": job.id})
        try:
            return await asyncio.to_thread(codec.load_request, TASKS[job.task].request, data or b"")
        except ValueError:
            raise UserError("What this job was about is gone. Send it again.") from None

    async def get_value(self, key: str) -> Any:
        """Return a value that was kept, or None."""
        async with self._connected("read") as connection:
            text = await connection.scalar(sa.select(values.c.value).where(values.c.key == key))
        return None if text is None else json.loads(text)

    def set_value(self, key: str, value: Any) -> None:
        """Keep a JSON value soon."""
        text = json.dumps(value)
        self._writer.soon((_KEEP_NOT, {"kept": key}), (_KEEP, {"key": key, "value": text}))

    def _sweep(self) -> None:
        """Forget answered jobs of long ago."""
        self._writer.soon((_SWEEP, self._old()))
        self._sweep_later()

    def _sweep_later(self) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_EVERY_S, self._sweep)

    def _old(self) -> dict[str, float]:
        return {"before": time.time() - self._keep_s}

    @contextlib.asynccontextmanager
    async def _connected(self, done: str) -> AsyncIterator[AsyncConnection]:
        """Connect; raise UserError for what goes wrong."""
        check_folder(sqlite_file(self._engine.url))
        try:
            async with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise UserError("The job store can't be {done}: {why}", done=done, why=first_line(error)) from error


def _state(job: Job) -> JobState:
    """Return what the next start shall find: a job that somebody stopped won't run again."""
    return JobState.CANCELLED if job.stopped and not job.state.final else job.state


def _outcome(job: Job) -> dict[str, Any]:
    """Return what is stored of a job's result or error."""
    try:
        if job.result is not None:
            return {"result": codec.dump(job.result)}
        return {} if job.error is None else {"error": codec.dump_error(job.error)}
    except (ValueError, TypeError):  # its asker gets the answer all the same, unless the bot dies before
        log.exception("the outcome of job %s can't be stored", job.id)
        return {}


def _address(job: Job) -> str | None:
    return None if job.reply_to is None else json.dumps(dict(job.reply_to))
