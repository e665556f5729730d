"""Define a job: one request of one person, its state, and how to follow it."""

from __future__ import annotations

import asyncio
import enum
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot.tasks.base import Request, Result


class JobState(enum.StrEnum):
    """Where a job stands; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        """Say whether nothing more will happen to the job."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Say who asked and where. `weight` is the person's share of the device against others' 1.0."""

    user_id: int
    guild_id: int | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """Show what is known of a job at one moment.

    `ahead` counts the jobs before it, `starts_in_s` is the expected wait in seconds; both None when unknown.
    `loading` is the share of the model that is fetched, 0 to 1, while the model is being made ready.
    """

    state: JobState = JobState.QUEUED
    ahead: int | None = None
    starts_in_s: float | None = None
    step: int = 0
    steps: int = 0
    loading: float | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """Carry one request through the queue.

    `reply_to` is opaque here: it tells whoever answers where the answer goes, and survives a restart.
    Times are seconds since the epoch. `attempts` counts how often a worker began to compute it. `charged_s` are the
    device seconds that its person was charged in advance, `seconds` those that it took. `stopped`: somebody cancelled
    it, which it may not have heard of yet, but the store has. `stored_bytes` is the size of an input that is in the
    store only, so that many waiting pictures take no memory; 0 when `request` is whole.
    """

    request: Request
    requester: Requester
    task: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    reply_to: Mapping[str, Any] | None = None
    created_at: float = field(default_factory=time.time)
    expires_at: float = float("inf")
    attempts: int = 0
    charged_s: float = 0.0
    seconds: float = 0.0
    stopped: bool = False
    stored_bytes: int = 0
    status: JobStatus = field(default_factory=JobStatus)
    result: Result | None = None
    error: Exception | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        if self.state.final:  # read back from the store
            self.finished.set()

    @property
    def state(self) -> JobState:
        """Return where the job stands."""
        return self.status.state

    @property
    def input_bytes(self) -> int:
        """Return the size of what was given, wherever it is."""
        return self.stored_bytes or self.request.input_bytes

    def leave_input_stored(self) -> None:
        """Let go of the request's input, which the store has."""
        self.stored_bytes = self.request.input_bytes
        self.request = self.request.without_input()

    def update(self, **changes: Any) -> None:
        """Change the status and wake whoever follows. A final status stays as it is."""
        if self.state.final or all(getattr(self.status, name) == value for name, value in changes.items()):
            return
        self.status = replace(self.status, **changes)
        self._changed.set()
        self._changed = asyncio.Event()

    def finish(self, state: JobState, *, result: Result | None = None, error: Exception | None = None) -> bool:
        """Enter a final state once; say whether it was this call that did."""
        if self.state.final:
            return False
        self.result, self.error = result, error
        self.update(state=state, loading=None)
        self.finished.set()
        return True

    async def follow(self) -> AsyncIterator[JobStatus]:
        """Yield the status now and after each change, the final one last. Slow readers skip what's outdated."""
        while True:
            changed, status = self._changed, self.status
            yield status
            if status.state.final:
                return
            if self.status is status:
                await changed.wait()

    async def outcome(self) -> Result:
        """Wait for the end; return the result or raise the error."""
        async for _ in self.follow():
            pass
        if self.error is not None:
            raise self.error
        if self.result is None:
            raise RuntimeError(f"job {self.id} ended as {self.state} with neither result nor error")
        return self.result
