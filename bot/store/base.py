"""Keep jobs, and the few values that must survive a restart."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Protocol

from bot.engine.job import Job
from bot.tasks.base import Request


class Store(Protocol):
    """Remember jobs until they are answered."""

    async def open(self) -> None:
        """Connect and bring the tables up to date; raise UserError when the database can't be used."""

    async def close(self) -> None:
        """Write what is left and disconnect."""

    async def add(self, job: Job) -> None:
        """Write a new job; it is durable when this returns. Raise UserError when it can't be stored."""

    def save(self, job: Job) -> None:
        """Write a job's state soon, in order with all other writes."""

    def update_address(self, job: Job) -> None:
        """Write soon where a job's answer goes."""

    async def flush(self) -> None:
        """Return when everything until now is durable, however long that takes."""

    def mark_answered(self, job: Job) -> None:
        """Note that a job was answered, and forget its request and result."""

    def unanswered(self) -> AsyncIterator[Job]:
        """Yield the unanswered jobs, oldest first, one at a time: their inputs may not fit into memory together."""

    async def load_request(self, job: Job) -> Request:
        """Return a job's request with its whole input; raise UserError when it can't be read."""

    async def get_value(self, key: str) -> Any:
        """Return a value that was kept, or None."""

    def set_value(self, key: str, value: Any) -> None:
        """Keep a JSON value soon."""


class NoStore:
    """Remember nothing: for the command line, where jobs don't outlive the process."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def add(self, job: Job) -> None:
        """Do nothing."""

    def save(self, job: Job) -> None:
        """Do nothing."""

    def update_address(self, job: Job) -> None:
        """Do nothing."""

    async def flush(self) -> None:
        """Do nothing."""

    def mark_answered(self, job: Job) -> None:
        """Do nothing."""

    async def unanswered(self) -> AsyncIterator[Job]:
        """Yield no jobs."""
        no_jobs: tuple[Job, ...] = ()
        for job in no_jobs:
            yield job

    async def load_request(self, job: Job) -> Request:
        """Return the request: nothing is ever left to this store."""
        return job.request

    async def get_value(self, key: str) -> Any:
        """Return a value that was kept in this process, or None."""
        return json.loads(self._values.get(key, "null"))

    def set_value(self, key: str, value: Any) -> None:
        """Keep a JSON value as long as this process lives."""
        self._values[key] = json.dumps(value)
