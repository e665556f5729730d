"""Test what the database keeps, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.engine.job import Job, JobState, Requester
from bot.errors import BadInput, UserError
from bot.store import codec
from bot.store.sql import SqlStore
from bot.tasks.base import Request, Result
from bot.tasks.classify.task import ClassifyRequest, ClassifyResult, Label
from bot.tasks.imagine.task import Picture
from bot.tasks.sentiment.task import SentimentRequest
from tests.store.databases import in_the_database


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures(Result):
    """Hold pictures inside of something else."""

    pictures: tuple[Picture, ...]


IMAGE = bytes(range(256)) * 10
RESULT = ClassifyResult(model="m", labels=(Label(label="cat", score=0.5),), width=1, height=2, thumbnail=b"\xff\x00")


@asynccontextmanager
async def opened(url: str, *, keep_days: float = 7.0) -> AsyncIterator[SqlStore]:
    """Live once on a database."""
    store = SqlStore(url, keep_days=keep_days)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def left_in(url: str) -> list[Job]:
    """Return the jobs that the next life finds."""
    async with opened(url) as store:
        return [job async for job in store.unanswered()]


def picture_job(image: bytes = IMAGE) -> Job:
    return Job(
        task="classify",
        request=ClassifyRequest(model="bundled:efficientnet-lite0", image=image, top=3),
        requester=Requester(user_id=7, guild_id=8, weight=2.0),
        reply_to={"token": "abc", "channel_id": 5},
    )


async def test_a_job_comes_back_whole(url: str) -> None:
    job = picture_job()
    async with opened(url) as store:
        await store.add(job)
        job.finish(JobState.DONE, result=RESULT)
        store.save(job)
    (back,) = await left_in(url)
    assert (back.id, back.request, back.requester, back.reply_to) == (
        job.id,
        job.request,
        job.requester,
        job.reply_to,
    )
    assert (back.state, back.result) == (JobState.DONE, RESULT)
    assert back.finished.is_set()
    assert (back.created_at, back.expires_at) == (job.created_at, job.expires_at)


async def test_jobs_come_back_in_the_order_of_their_arrival(url: str) -> None:
    jobs = [picture_job() for _ in range(5)]
    async with opened(url) as store:
        for job in jobs:
            await store.add(job)
        jobs[0].update(state=JobState.RUNNING)
        store.save(jobs[0])
    back = await left_in(url)
    assert [job.id for job in back] == [job.id for job in jobs]
    assert [job.state for job in back] == [JobState.RUNNING, *[JobState.QUEUED] * 4]


async def test_errors_come_back_as_sentences(url: str) -> None:
    job = picture_job()
    async with opened(url) as store:
        await store.add(job)
        job.finish(JobState.FAILED, error=BadInput("Send at most {n}.", n=3))
        store.save(job)
    (back,) = await left_in(url)
    assert isinstance(back.error, BadInput)
    assert str(back.error) == "Send at most 3."


async def test_a_stopped_job_comes_back_as_cancelled(url: str) -> None:
    job = picture_job()
    async with opened(url) as store:
        await store.add(job)
        job.update(state=JobState.RUNNING)
        job.stopped = True
        store.save(job)
    (back,) = await left_in(url)
    assert (back.state, str(back.error)) == (JobState.CANCELLED, "Cancelled.")


async def test_an_address_may_change(url: str) -> None:
    job = picture_job()
    async with opened(url) as store:
        await store.add(job)
        job.reply_to = {"token": "abc", "channel_id": 5, "posted": 9}
        store.update_address(job)
        await store.flush()
    (back,) = await left_in(url)
    assert back.reply_to == job.reply_to


async def test_answered_jobs_keep_no_content(url: str) -> None:
    job = picture_job()
    async with opened(url) as store:
        await store.add(job)
        job.finish(JobState.DONE, result=RESULT)
        store.save(job)
        store.mark_answered(job)
    (row,) = await in_the_database(url, "SELECT request, result, reply_to, answered FROM jobs")
    assert tuple(row) == (None, None, None, 1)
    assert await left_in(url) == []


async def test_old_answered_jobs_are_forgotten_and_no_others(url: str) -> None:
    answered, waiting = picture_job(), picture_job()
    answered.created_at = waiting.created_at = time.time() - 86_400
    async with opened(url) as store:
        await store.add(answered)
        await store.add(waiting)
        store.mark_answered(answered)
    async with opened(url, keep_days=0.5) as store:
        assert [job.id async for job in store.unanswered()] == [waiting.id]
    assert len(await in_the_database(url, "SELECT id FROM jobs")) == 1


async def test_answered_jobs_are_forgotten_while_the_bot_runs(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.sql._SWEEP_EVERY_S", 0.01)
    job = picture_job()
    async with opened(url, keep_days=0) as store:
        await store.add(job)
        store.mark_answered(job)
        async with asyncio.timeout(10):
            while await in_the_database(url, "SELECT id FROM jobs"):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)


async def test_what_comes_after_the_answer_is_not_kept(url: str) -> None:
    job = picture_job()
    async with opened(url) as store:
        await store.add(job)
        store.mark_answered(job)
        job.finish(JobState.DONE, result=RESULT)
        store.save(job)
        store.update_address(job)
    rows = await in_the_database(url, "SELECT request, result, reply_to FROM jobs")
    assert [tuple(row) for row in rows] == [(None, None, None)]


async def test_pictures_are_put_into_words_beside_the_event_loop(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dump, threads = codec.dump, set[threading.Thread]()

    def dump_and_tell(value: Request | Result) -> bytes:
        threads.add(threading.current_thread())
        return dump(value)

    monkeypatch.setattr(codec, "dump", dump_and_tell)
    job = picture_job()
    async with opened(url) as store:
        await store.add(job)
        job.finish(JobState.DONE, result=RESULT)
        store.save(job)
    assert threads
    assert threading.main_thread() not in threads
    assert (await left_in(url))[0].result == RESULT


@pytest.mark.parametrize(
    ("value", "quick"),
    [
        (SentimentRequest(model="m", text="fine"), True),
        (RESULT, False),
        (Pictures(model="m", pictures=(Picture(png=b"", seed=1),)), False),
        (Pictures(model="m", pictures=()), True),
    ],
)
def test_what_holds_pictures_takes_a_while(value: Request | Result, quick: bool) -> None:
    assert codec.is_quick(value) is quick


async def test_half_a_character_is_refused_in_a_sentence(url: str) -> None:
    request = SentimentRequest(model="m", text="half \ud83d")
    async with opened(url) as store:
        with pytest.raises(BadInput, match="that are no text"):
            await store.add(Job(task="sentiment", request=request, requester=Requester(user_id=7)))


@pytest.mark.parametrize("change", ["request = NULL", "task = 'summarize'", "state = 'thinking'"])
async def test_the_asker_of_a_job_that_cannot_be_read_is_told(
    url: str, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(url) as store:
        await store.add(picture_job())
        await store.add(picture_job())
    await in_the_database(url, f"UPDATE jobs SET {change} WHERE number = 1")  # noqa: S608
    first, second = await left_in(url)
    assert first.state is JobState.FAILED
    assert str(first.error).startswith("The bot was updated")
    assert second.state is JobState.QUEUED
    assert "can't be read" in caplog.text


async def test_a_job_without_an_address_hides_no_other(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(url) as store:
        await store.add(picture_job())
        await store.add(picture_job())
    await in_the_database(url, "UPDATE jobs SET reply_to = '?' WHERE number = 1")
    assert len(await left_in(url)) == 1
    assert "can't be read" in caplog.text


async def test_values_are_kept_and_replaced(url: str) -> None:
    async with opened(url) as store:
        assert await store.get_value("x") is None
        store.set_value("x", {"a": 1})
        store.set_value("x", [2])
    async with opened(url) as store:
        assert await store.get_value("x") == [2]


async def test_a_value_is_read_without_opening(url: str) -> None:
    async with opened(url) as store:
        store.set_value("x", 1)
    store = SqlStore(url)
    assert await store.get_value("x") == 1
    await store.close()


async def test_looking_changes_nothing(url: str) -> None:
    async def look() -> str:
        store = SqlStore(url)
        found = await store.schema_state()
        await store.close()
        return found

    assert await look() in ("new", "old")
    assert await look() in ("new", "old")
    async with opened(url):
        pass
    assert await look() == "current"


@pytest.mark.parametrize("use", [SqlStore.open, SqlStore.schema_state, lambda store: store.get_value("x")])
async def test_a_store_that_is_out_of_reach_says_so(
    tmp_path: Path, use: Callable[[SqlStore], Awaitable[object]]
) -> None:
    nowhere = tmp_path / "no" / "such"
    for url in (f"sqlite+aiosqlite:///{nowhere}/jobs.db", f"postgresql+asyncpg://hubcord@/x?host={nowhere}"):
        store = SqlStore(url)
        with pytest.raises(UserError, match="can't be"):
            await use(store)
        await store.close()


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


async def test_pictures_leave_nothing_in_the_file(sqlite_url: str, tmp_path: Path) -> None:
    """Their pages are overwritten and used again: the file doesn't grow with the number of jobs."""
    sizes = []
    async with opened(sqlite_url) as store:
        for number in range(40):
            job = picture_job(bytes(200_000))
            job.request = ClassifyRequest(model="m", image=b"a secret picture" * 12_500, top=number % 5 + 1)
            await store.add(job)
            store.mark_answered(job)
            sizes.append(_bytes_in(tmp_path))
    assert max(sizes) < 25 * 266_700, "each takes 266,700 bytes as base64, and all of them pass through"
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert b"YSBzZWNyZXQgcGljdHVyZ" not in (tmp_path / "jobs.db").read_bytes()
    assert (tmp_path / "jobs.db").stat().st_size < 3_000_000
