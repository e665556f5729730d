"""Run hubcord's whole queue with its worker process."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from benchmarks.throughput.case import Case
from benchmarks.throughput.engine import IN_FLIGHT, Ask, Sample, ask_all
from bot.config import parse_settings
from bot.engine.engine import Engine
from bot.engine.job import Requester
from bot.tasks.base import Request
from bot.tasks.classify.task import ClassifyRequest
from bot.tasks.sentiment.task import SentimentRequest
from bot.wiring import make_engine

_REQUESTS: dict[str, Callable[[str, str], Request]] = {
    "sentiment": lambda model, item: SentimentRequest(model=model, text=item),
    "classify": lambda model, item: ClassifyRequest(model=model, image=base64.b64decode(item)),
}


class Hubcord:
    """Compute in one precision."""

    settings: Sequence[None] = (None,)

    def __init__(self, precision: str) -> None:
        self.name = f"hubcord {precision}"
        self._precision = precision

    async def run(self, case: Case, setting: None) -> Sample:  # noqa: ARG002 - there is nothing to set
        """Measure with an engine and a worker process of its own."""
        devices = {"use": ["cpu"], "threads": case.threads, "precision": self._precision}
        limits = {"per_user": IN_FLIGHT, "shutdown_grace_s": 0}
        engine = make_engine(parse_settings({"devices": devices, "queue": limits}))
        await engine.start()
        try:
            return await ask_all(case, _asking(engine, case))
        finally:
            await engine.close()


def _asking(engine: Engine, case: Case) -> Ask:
    make, model = _REQUESTS[case.task], f"path:{case.folder}"

    async def ask(item: str) -> None:
        job = await engine.submit(case.task, make(model, item), Requester(user_id=1))
        await job.outcome()

    return ask
