"""Make requests and jobs for tests."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from bot.engine.job import Job, Requester
from bot.tasks.base import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRequest(Request):
    """Ask for nothing in particular: `length` is its size, `kind` what it can share a batch with."""

    length: int = 1
    kind: str = "a"
    input_bytes: int = 0

    @property
    def batch_key(self) -> Hashable:
        return self.kind

    @property
    def size(self) -> int:
        return self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRequest(SampleRequest):
    """Ask for something that lets short jobs run between its steps."""

    preemptible: ClassVar[bool] = True


def sample_job(
    user: int = 1,
    guild: int | None = 1,
    *,
    length: int = 1,
    kind: str = "a",
    weight: float = 1.0,
    preemptible: bool = False,
    input_bytes: int = 0,
) -> Job:
    """Return a job of a person in a guild."""
    request = (LongRequest if preemptible else SampleRequest)(
        model="m", length=length, kind=kind, input_bytes=input_bytes
    )
    return Job(task="sample", request=request, requester=Requester(user_id=user, guild_id=guild, weight=weight))
