"""Load the models before somebody waits for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence

import typer

from bot.config import Settings
from bot.demo.guild import EXAMPLES
from bot.engine.engine import Engine
from bot.engine.job import Job, Requester
from bot.tasks.base import Request
from bot.tasks.classify.task import CLASSIFY, ClassifyRequest
from bot.tasks.imagine.task import IMAGINE, ImagineRequest
from bot.tasks.sentiment.task import SENTIMENT, SentimentRequest
from bot.tasks.translate.task import TRANSLATE

_NOBODY = Requester(user_id=0)


@contextlib.asynccontextmanager
async def warm_up(engine: Engine, settings: Settings) -> AsyncIterator[None]:
    """Give the worker a tiny job of each task; enter when it did the first one, and go on with the others meanwhile."""
    first, *others = [await engine.submit(task, request, _NOBODY) for task, request in _tiny(settings)]
    await _tell_failures([first])
    rest = asyncio.create_task(_tell_failures(others), name="warm up")
    try:
        yield
    finally:
        rest.cancel()


def _tiny(settings: Settings) -> Iterator[tuple[str, Request]]:
    yield "sentiment", SentimentRequest(model=settings.of(SENTIMENT).choose(None), text="Fine.")
    yield "translate", settings.of(TRANSLATE).request("Good morning.", to="pt", source="en")
    picture = (EXAMPLES / "cat.jpg").read_bytes()
    yield "classify", ClassifyRequest(model=settings.of(CLASSIFY).choose(None), image=picture)
    drawing = settings.of(IMAGINE).choose(None)
    yield "imagine", ImagineRequest(model=drawing, prompt="a red heart", seed=0, steps=4)


async def _tell_failures(jobs: Sequence[Job]) -> None:
    for job in jobs:
        await job.finished.wait()
        if job.error is not None:
            typer.echo(f"/{job.task} doesn't work: {job.error}", err=True)
