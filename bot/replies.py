"""Follow jobs and answer them in Discord, each exactly once.

An answer edits the message that Discord shows while the bot is thinking. Editing is idempotent, so it may be tried
again after a crash. When the interaction's 15 minutes are over, the answer is posted with the bot's own token; its
nonce keeps Discord from showing it twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import aiohttp
import discord

from bot.address import Address
from bot.deferral import Deferral
from bot.errors import UserError
from bot.inference.pipeline import Request
from bot.jobs.job import Job
from bot.live import show_progress
from bot.posting import Posting
from bot.requesting import requester
from bot.texts import use_locale
from bot.tree import TROUBLE, unexpected
from bot.views.answer import Answer
from bot.views.text import plain

if TYPE_CHECKING:
    from bot.bot import Bot

log = logging.getLogger(__name__)
_LAST_POSTS_S = 5.0
_POST_AGAIN_AFTER_S = (5, 30, 120)
Renderer = Callable[[Any, Any], Answer]
Waiting = Callable[[Awaitable[None]], Awaitable[None]]


class Replies:
    """Turn jobs into messages. Cogs register how a task's result looks.

    `waiting` is put around each wait for a job's end: a simulated Discord learns by it that the bot isn't busy.
    """

    def __init__(self, bot: Bot) -> None:
        self.waiting: Waiting = lambda wait: wait
        self._bot = bot
        self._renderers: dict[str, Renderer] = {}
        self._following: set[asyncio.Task[None]] = set()
        self._posting_now: set[asyncio.Task[Any]] = set()
        self._messages: dict[int, Job] = {}
        self._unwanted: set[str] = set()

    def register(self, task: str, render: Renderer) -> None:
        """Say how the request and result of a task become an answer."""
        self._renderers[task] = render

    async def answer(
        self,
        interaction: discord.Interaction[Any],
        task: str,
        request: Request | Awaitable[Request],
        *,
        private: bool = False,
    ) -> None:
        """Queue a request and answer it; raise UserError while nothing was sent yet.

        A request that takes a while to build (a download) is awaited; if it takes long, the answer is deferred first.
        """
        deferral = Deferral(interaction, private=private)
        if not isinstance(request, Request):
            request = await deferral.bridge(request)
        job = await self._submit(interaction, task, request, private=private)
        try:
            await deferral.send()
        except TROUBLE:  # too late or deleted: nobody sees that the job was taken
            self._bot.engine.cancel(job.id)
            self._bot.engine.answered(job)
            raise
        with self._shown_in(deferral.message_id, job):
            await self.follow(job)

    async def follow(self, job: Job) -> None:
        """Show a job's progress until it ends, then answer it."""
        if job.reply_to is None:
            return
        posting = Posting(self._bot, Address.load(job.reply_to), job.id)
        use_locale(posting.address.locale)
        await self.waiting(self._until_ended(job, posting))
        if job.state.final:
            async with self._posting():
                if job.id not in self._unwanted:
                    await self._deliver(posting, self._render(job))
                self._unwanted.discard(job.id)
                self._bot.engine.answered(job)

    async def _deliver(self, posting: Posting, answer: Answer) -> None:
        """Post an answer, again after a while when Discord has trouble; after the last try the next start posts it."""
        for wait_s in _POST_AGAIN_AFTER_S:
            try:
                return await posting.answer(answer)
            except (discord.DiscordServerError, aiohttp.ClientError, OSError) as error:
                log.warning("an answer can't be posted now, trying again in %d s: %s", wait_s, error)
            await asyncio.sleep(wait_s)
        return await posting.answer(answer)

    def messages_gone(self, message_ids: Iterable[int]) -> None:
        """Stop the jobs that these messages were to answer."""
        self.withdraw([self._messages[message] for message in message_ids if message in self._messages])

    def withdraw(self, jobs: Iterable[Job]) -> None:
        """Stop jobs whose answers nobody could see any more, and post none."""
        for job in jobs:
            self._unwanted.add(job.id)
            self._bot.engine.cancel(job.id)

    def resume(self, job: Job) -> None:
        """Answer a job of the last run in the background."""
        task = asyncio.create_task(self.follow(job), name=f"answer {job.id}")
        self._following.add(task)
        task.add_done_callback(self._forget)

    async def close(self) -> None:
        """Let answers that are being posted end, and stop following; the rest is answered after the next start."""
        if self._posting_now:
            await asyncio.wait(self._posting_now, timeout=_LAST_POSTS_S)
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _posting(self) -> AsyncIterator[None]:
        task = asyncio.current_task()
        if task is not None:
            self._posting_now.add(task)
        try:
            yield
        finally:
            self._posting_now.discard(task)

    async def _submit(
        self, interaction: discord.Interaction[Any], task: str, request: Request, *, private: bool
    ) -> Job:
        address = Address.of(interaction, private=private)
        return await self._bot.engine.submit(task, request, requester(interaction), reply_to=address.dump())

    async def _until_ended(self, job: Job, posting: Posting) -> None:
        if not await show_progress(job, posting, lambda: job.id not in self._unwanted):
            self.withdraw([job])
            await job.finished.wait()

    @contextlib.contextmanager
    def _shown_in(self, message_id: int | None, job: Job) -> Iterator[None]:
        """Know for a while which job a message is to answer."""
        if message_id is None:
            yield
            return
        self._messages[message_id] = job
        try:
            yield
        finally:
            del self._messages[message_id]

    def _render(self, job: Job) -> Answer:
        if job.result is not None:
            return self._renderers[job.task](job.request, job.result)
        if isinstance(job.error, UserError):
            return Answer(text=plain(str(job.error)))
        return Answer(text=unexpected(job.error or RuntimeError(f"job {job.id} has no result")))

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._following.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())
