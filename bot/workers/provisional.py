"""Keep results that will do, for jobs whose outcome doesn't come or takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bot.workers.protocol import Answered, Drafted, Event

PATIENCE_S = 20.0
"""How long a person whose result will do waits for the outcome."""
OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class _Draft:
    """Remember what would be the answer, who hears of it, and when it is time."""

    answer: Answered
    on_event: OnEvent
    timer: asyncio.TimerHandle


class Drafts:
    """Pass on what a worker says; a job's draft becomes its answer when that is due."""

    def __init__(self) -> None:
        self._drafts: dict[str, _Draft] = {}

    def hear(self, on_event: OnEvent, event: Event) -> None:
        """Keep a draft; pass everything else on."""
        if isinstance(event, Answered):
            self.drop(event.job_id)
        if not isinstance(event, Drafted):
            on_event(event)
            return
        self.drop(event.job_id)
        timer = asyncio.get_running_loop().call_later(PATIENCE_S, self.settle, event.job_id)
        answer = Answered(event.job_id, event.result, event.seconds)
        self._drafts[event.job_id] = _Draft(answer, on_event, timer)

    def settle(self, job_id: str) -> None:
        """Answer a job with its draft, if it has one. What the worker may answer later comes too late."""
        draft = self.drop(job_id)
        if draft is not None:
            draft.on_event(draft.answer)

    def drop(self, job_id: str) -> _Draft | None:
        """Forget the draft of a job; return it if there was one."""
        draft = self._drafts.pop(job_id, None)
        if draft is not None:
            draft.timer.cancel()
        return draft

    def clear(self) -> None:
        """Forget all."""
        for job_id in list(self._drafts):
            self.drop(job_id)
