"""Write to the database in the order of the calls, in groups, and lose nothing while the database has trouble."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import UserError
from bot.store.database import first_line

log = logging.getLogger(__name__)
_UNFIT = (IntegrityError, DataError)
_TROUBLE = (SQLAlchemyError, OSError)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 30.0
_WAIT_S = 2.0
"""How long somebody waits for a write: Discord waits for three seconds, and some of them are gone."""
_LAST_WRITES_S = 5.0
_GATHER_S = 0.05
"""How long changes may gather that nobody waits for."""
_NOT_STORED = "The job couldn't be stored. Try again in a minute."
Change = tuple[sa.Executable, Mapping[str, Any]]
"""A statement and its parameters: one statement for all rows is compiled once."""


@dataclass(slots=True, eq=False)
class Write:
    """Hold changes that belong together, and `done` while somebody waits for them.

    One with an `undo` may be refused; `undo` then takes its place, since a commit whose confirmation was lost may have
    been made all the same. `make` returns changes that take a while to put together.
    """

    changes: Sequence[Change] = ()
    undo: Change | None = None
    done: asyncio.Future[None] | None = None
    make: Callable[[], Sequence[Change]] | None = None

    async def complete(self) -> None:
        """Make the changes, in another thread."""
        if self.make is not None:
            self.changes, self.make = await asyncio.to_thread(self.make), None

    def refuse(self) -> None:
        """Tell who waits that this won't be stored, and make sure of it."""
        if self.undo is not None:
            self.changes, self.undo = [self.undo], None
            self.fail()

    def fail(self) -> None:
        """Tell who waits that this isn't stored."""
        if self.done is not None and not self.done.done():
            self.done.set_exception(UserError(_NOT_STORED))
            self.done.exception()  # who waited may have gone: then nobody needs to hear of it
        self.done = None

    def confirm(self) -> None:
        """Tell who waits that this is stored."""
        if self.done is not None and not self.done.done():
            self.done.set_result(None)


class Writer:
    """Commit writes in one task. What fails is tried again, later each time, and nothing overtakes it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting: deque[Write] = deque()
        self._group: list[Write] = []
        self._failing = False
        self._some = asyncio.Event()
        self._awaited = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="store writer")
        self._task.add_done_callback(_tell_of_end)

    async def close(self) -> None:
        """Write what is left; what can't be written within a moment is lost, and the log says so."""
        if self._task is None:
            return
        self._awaited.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._none.wait(), _LAST_WRITES_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if lost := len(self._group) + len(self._waiting):
            log.error("%d changes couldn't be written to the job store: some jobs will be run again", lost)

    def soon(self, *changes: Change) -> None:
        """Write when it is their turn."""
        self._put(Write(changes))

    def soon_made(self, make: Callable[[], Sequence[Change]]) -> None:
        """Write what `make` returns when it is its turn."""
        self._put(Write(make=make))

    async def flush(self) -> None:
        """Return when everything until now is durable, however long that takes."""
        done = _future()
        self._put(Write(done=done))
        await done

    async def now(self, *changes: Change, undo: Change) -> None:
        """Return when the changes are durable; else raise UserError, after which `undo` was or will be run."""
        if self._failing:
            raise UserError(_NOT_STORED)
        done = _future()
        self._put(Write(changes, undo, done))
        try:
            await asyncio.wait_for(done, _WAIT_S)
        except TimeoutError:
            self.soon(undo)
            raise UserError(_NOT_STORED) from None
        except asyncio.CancelledError:
            self.soon(undo)
            raise

    def _put(self, write: Write) -> None:
        self._waiting.append(write)
        self._none.clear()
        self._some.set()
        if write.done is not None:
            self._awaited.set()

    async def _run(self) -> None:
        """Commit whatever has gathered, together: a commit costs far more than a row."""
        while True:
            await self._some.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._awaited.wait(), _GATHER_S)
            self._some.clear()
            self._awaited.clear()
            self._group = list(self._waiting)
            self._waiting.clear()
            for write in self._group:
                await write.complete()
            await self._write(self._group)
            self._group = []
            if not self._waiting:
                self._none.set()

    async def _write(self, group: list[Write]) -> None:
        """Commit a group; one of its writes that no database would take is left out."""
        try:
            await self._commit_at_last(group)
        except _UNFIT as error:
            if len(group) == 1:
                log.error("a change can't be written to the job store: %s", first_line(error))  # noqa: TRY400
                group[0].fail()
                return
            for write in group:
                await self._write([write])
        else:
            for write in group:
                write.confirm()

    async def _commit_at_last(self, group: list[Write]) -> None:
        """Commit, again and again until the database takes it; refuse meanwhile whatever somebody waits for."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await self._commit(group)
            except _UNFIT:
                raise
            except _TROUBLE as error:
                why = first_line(error)
                log.error("the job store can't be written, trying again in %.0f s: %s", pause_s, why)  # noqa: TRY400
            self._refuse_all(group)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _refuse_all(self, group: list[Write]) -> None:
        self._failing = True
        for write in (*group, *self._waiting):
            write.refuse()

    async def _commit(self, group: list[Write]) -> None:
        async with self._engine.begin() as connection:
            for statement, rows in _alike(chain.from_iterable(write.changes for write in group)):
                await connection.execute(statement, rows)
        if self._failing:
            log.info("the job store is written again")
        self._failing = False


def _alike(changes: Iterable[Change]) -> Iterator[tuple[sa.Executable, list[Mapping[str, Any]]]]:
    """Yield changes in order; those that follow each other with one statement and the same columns are one."""
    for _, some in groupby(changes, key=lambda change: (id(change[0]), *change[1])):
        together = list(some)
        yield together[0][0], [row for _, row in together]


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def _tell_of_end(task: asyncio.Task[None]) -> None:
    """Say that nothing is stored any more, if it ever comes to that."""
    if not task.cancelled() and task.exception() is not None:
        log.critical("the job store's writer failed: no job can be taken until a restart", exc_info=task.exception())
