"""Test what the database keeps."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bot.errors import BadInput, UserError
from bot.inference.pipelines.classify import ClassifyRequest, ClassifyResult, Label
from bot.jobs.job import Job, JobState, Requester
from bot.jobs.sql_store import SqlStore

IMAGE = bytes(range(256)) * 10


def store_in(folder: Path) -> SqlStore:
    return SqlStore(f"sqlite+aiosqlite:///{folder / 'jobs.db'}")


def picture_job() -> Job:
    return Job(
        task="classify",
        request=ClassifyRequest(model="bundled:efficientnet-lite0", image=IMAGE, top=3),
        requester=Requester(user_id=7, guild_id=8, weight=2.0),
        reply_to={"token": "abc", "channel_id": 5},
    )


async def test_a_job_comes_back_whole(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await store.open()
    job = picture_job()
    await store.add(job)
    result = ClassifyResult(
        model="m", labels=(Label(label="cat", score=0.5),), width=1, height=2, thumbnail=b"\xff\x00"
    )
    job.finish(JobState.DONE, result=result)
    store.save(job)
    await store.close()

    again = store_in(tmp_path)
    await again.open()
    (back,) = await again.unanswered()
    await again.close()
    assert (back.request, back.requester, back.reply_to) == (job.request, job.requester, job.reply_to)
    assert (back.state, back.result) == (JobState.DONE, result)


async def test_errors_come_back_as_sentences(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await store.open()
    job = picture_job()
    await store.add(job)
    job.finish(JobState.FAILED, error=BadInput("Send at most {n}.", n=3))
    store.save(job)
    await store.close()
    again = store_in(tmp_path)
    await again.open()
    (back,) = await again.unanswered()
    await again.close()
    assert isinstance(back.error, BadInput)
    assert str(back.error) == "Send at most 3."


async def test_answered_jobs_keep_no_content(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await store.open()
    job = picture_job()
    await store.add(job)
    store.answered(job)
    await store.close()
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        row = connection.execute("SELECT request, result, reply_to, answered FROM jobs").fetchone()
        mode = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert row == (None, None, None, 1)
    assert mode == ("wal",)


async def test_one_unreadable_job_does_not_hide_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = store_in(tmp_path)
    await store.open()
    await store.add(picture_job())
    await store.add(picture_job())
    await store.close()
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        connection.execute("UPDATE jobs SET request = x'00' WHERE number = 1")
    connection.close()
    again = store_in(tmp_path)
    await again.open()
    assert len(await again.unanswered()) == 1
    assert "can't be read" in caplog.text
    await again.close()


async def test_values_are_kept_and_replaced(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await store.open()
    assert await store.value("x") is None
    store.keep("x", {"a": 1})
    store.keep("x", [2])
    await store.close()
    again = store_in(tmp_path)
    await again.open()
    assert await again.value("x") == [2]
    await again.close()


async def test_a_store_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'jobs.db'}")
    with pytest.raises(UserError, match="can't be opened"):
        await store.open()
    await store.close()
