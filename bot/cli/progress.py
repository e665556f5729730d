"""Draw what jobs are doing on a terminal."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from bot.engine.job import Job, JobState, JobStatus
from bot.i18n.texts import gettext as _


class Watcher:
    """Show one line for each job that takes several steps, and one for what is being made ready."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._line = self._progress.add_task(_("Starting"), total=None)

    async def __aenter__(self) -> Self:
        self._progress.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        self._progress.stop()

    def watch(self, job: Job) -> None:
        """Follow a job until it ends."""
        task = asyncio.create_task(self._follow(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, job: Job) -> None:
        async for status in job.follow():
            self._draw(status)

    def _draw(self, status: JobStatus) -> None:
        if status.state is JobState.DONE:
            self._progress.update(self._line, description=_("Working"))
        elif status.loading is not None:
            share = f" {status.loading:.0%}" if status.loading else ""
            self._progress.update(self._line, description=_("Loading the model") + share)
        elif status.steps:
            self._progress.update(self._line, description=_("Making"), completed=status.step, total=status.steps)
