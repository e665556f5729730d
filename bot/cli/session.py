"""Run a command's jobs through an engine of its own and print the answers in the order of the input."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import typer
from rich.console import Console

from bot.cli.console import BAD_INPUT, FAILED, INTERRUPTED, OK, complain, exit_code, explained
from bot.config import Settings, load_settings
from bot.engine.engine import Engine
from bot.engine.job import Job, Requester
from bot.errors import UserError
from bot.wiring import make_engine

IN_FLIGHT = 64
_CHUNK_BYTES = 1 << 16
Show = Callable[..., None]
_err = Console(stderr=True)


def stdin_lines() -> Iterator[str]:
    """Yield the lines of standard input; bytes that aren't UTF-8 are replaced.

    Read without a buffer of Python's: a thread that waits in one keeps the process from ending.
    """
    rest = b""
    while chunk := os.read(sys.stdin.fileno(), _CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(_text, lines)
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r")


class Session:
    """Hold one run of the command line: settings, how to print, and the exit code so far."""

    def __init__(self, settings: Settings, *, json: bool) -> None:
        self.settings = settings
        self.json = json
        self._code = OK

    @classmethod
    @contextlib.contextmanager
    def open(cls, config: Path | None, *, json: bool) -> Iterator[Self]:
        """Read the settings; end the process with the right exit code and one clear line for each mistake."""
        logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s")
        try:
            session = cls(load_settings(config), json=json)
            yield session
        except UserError as error:
            complain(explained(error))
            raise typer.Exit(exit_code(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            sys.stderr.close()
            raise typer.Exit(FAILED) from None
        except OSError as error:
            complain(f"{error.filename or 'standard output'}: {error.strerror or error}.")
            _drop_output()
            raise typer.Exit(FAILED) from None
        raise typer.Exit(session._code)

    def run(self, task: str, requests: Iterable[Any], show: Show, *, names: Sequence[str] = (), **options: Any) -> None:
        """Run the requests as jobs, at most IN_FLIGHT at once; a BadInput among them is a job that failed."""
        asyncio.run(self._run(task, requests, show, names, options))

    async def _run(
        self, task: str, requests: Iterable[Any], show: Show, names: Sequence[str], options: dict[str, Any]
    ) -> None:
        engine = make_engine(self._relaxed(), eager=False)
        await engine.start()
        try:
            async with _live_status(self.json) as watch:
                number = 0
                async for outcome, job in _in_order(engine, task, requests, watch):
                    name = names[number] if number < len(names) else f"job {number + 1}"
                    number += 1
                    if isinstance(outcome, Exception):
                        self.fail(name, outcome)
                    else:
                        show(outcome, job, json=self.json, name=name, **options)
        finally:
            await engine.close()

    def _relaxed(self) -> Settings:
        """Return settings for a single person who waits: no limits for each user, no deadline, no grace at the end."""
        queue = self.settings.queue.model_copy(
            update={
                "per_user": IN_FLIGHT,
                "per_guild": IN_FLIGHT,
                "capacity": IN_FLIGHT,
                "expire_s": math.inf,
                "shutdown_grace_s": 0.0,
            }
        )
        return self.settings.model_copy(update={"queue": queue})

    def fail(self, name: str, error: Exception) -> None:
        """Tell why one of several things failed; the exit code says so at the end."""
        self._code = FAILED if FAILED in (self._code, exit_code(error)) else BAD_INPUT
        why = explained(error) if isinstance(error, UserError) else f"something went wrong ({error})"
        complain(f"{name}: {why}")


def _drop_output() -> None:
    """Send what is left in standard output's buffer nowhere: Python would complain once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _in_order(
    engine: Engine, task: str, requests: Iterable[Any], watch: Callable[[Job], None]
) -> AsyncIterator[tuple[Any, Job | None]]:
    """Yield each request's outcome in order, as soon as it is there, while later requests are read and running."""
    room = threading.Semaphore(IN_FLIGHT)
    read: asyncio.Queue[Any] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def put(request: Any) -> None:
        loop.call_soon_threadsafe(read.put_nowait, request)

    threading.Thread(target=_read, args=(requests, room, put), name="input", daemon=True).start()
    submitted: asyncio.Queue[tuple[Any, Job | None] | None] = asyncio.Queue()
    submitting = asyncio.create_task(_submit_all(engine, task, read, submitted, watch))
    while (entry := await submitted.get()) is not None:
        error, job = entry
        outcome = error if job is None else await _outcome(job)
        room.release()
        yield outcome, job
    await submitting


def _read(requests: Iterable[Any], room: threading.Semaphore, put: Callable[[Any], object]) -> None:
    """Read requests while there is room; None tells the end. In a thread that may hang: input can take for ever."""
    source = iter(requests)
    with contextlib.suppress(RuntimeError):  # the loop is closed: the user has stopped us
        while (request := next(source, None)) is not None:
            room.acquire()
            put(request)
        put(None)


async def _submit_all(
    engine: Engine,
    task: str,
    read: asyncio.Queue[Any],
    submitted: asyncio.Queue[tuple[Any, Job | None] | None],
    watch: Callable[[Job], None],
) -> None:
    try:
        while (request := await read.get()) is not None:
            submitted.put_nowait(await _submit(engine, task, request, watch))
    finally:
        submitted.put_nowait(None)


async def _submit(engine: Engine, task: str, request: Any, watch: Callable[[Job], None]) -> tuple[Any, Job | None]:
    if isinstance(request, Exception):
        return request, None
    try:
        job = await engine.submit(task, request, Requester(user_id=0))
    except UserError as error:
        return error, None
    watch(job)
    return None, job


async def _outcome(job: Job) -> Any:
    try:
        return await job.outcome()
    except Exception as error:  # noqa: BLE001 - shown as this job's failure; the others go on
        return error


@contextlib.asynccontextmanager
async def _live_status(json: bool) -> AsyncIterator[Callable[[Job], None]]:
    """Show progress bars on a terminal while jobs run; give back what starts watching a job."""
    if json or not _err.is_terminal:
        yield lambda _: None
        return
    from bot.cli.progress import Watcher

    async with Watcher(_err) as watcher:
        yield watcher.watch
