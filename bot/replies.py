"""Follow jobs and answer them in Discord, each exactly once.

An answer edits the message that Discord shows while the bot is thinking. Editing is idempotent, so it may be tried
again after a crash. When the interaction's 15 minutes are over, the answer is posted with the bot's own token; its
nonce keeps Discord from showing it twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import discord

from bot.address import Address
from bot.errors import UserError
from bot.inference.pipeline import Request
from bot.jobs.job import Job
from bot.posting import Posting
from bot.requesting import requester
from bot.texts import use_locale
from bot.tree import TROUBLE, unexpected
from bot.views.answer import Answer
from bot.views.progress import ProgressText
from bot.views.text import plain

if TYPE_CHECKING:
    from bot.bot import Bot

log = logging.getLogger(__name__)
EDIT_EVERY_S = 1.0
_FIRST_LOOK_S = 0.15
_LONG_WAIT_S = 2.0
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
        if isinstance(request, Request):
            job = await self._submit(interaction, task, request, private=private)
        else:
            job = await self._submit(interaction, task, await _soon(interaction, request, private), private=private)
        try:
            if not interaction.response.is_done():
                await interaction.response.defer(ephemeral=private, thinking=True)
        except TROUBLE:  # too late or deleted: nobody sees that the job was taken
            self._bot.engine.cancel(job.id)
            self._bot.engine.answered(job)
            raise
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
                await self._deliver(posting, self._render(job))
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
        if await self._brief(job):
            await self._show_progress(job, posting, ProgressText(job))

    async def _brief(self, job: Job) -> bool:
        """Wait a moment, so that quick jobs show no progress; say whether progress is worth showing."""
        if await _ended_within(job, _FIRST_LOOK_S):
            return False
        if (job.status.starts_in_s or 0.0) > _LONG_WAIT_S:
            return True
        return not await _ended_within(job, EDIT_EVERY_S - _FIRST_LOOK_S)

    async def _show_progress(self, job: Job, posting: Posting, progress: ProgressText) -> None:
        """Edit the message when its text changes, at most about once a second."""
        shown = ""
        async for _status in job.follow():
            text = progress.text()
            if job.state.final or text == shown:
                continue
            if not await posting.progress(text):
                self._bot.engine.cancel(job.id)
                await job.finished.wait()
            shown = text
            await _ended_within(job, EDIT_EVERY_S)

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


_READ_BEFORE_DEFER_S = 1.5


async def _soon(interaction: discord.Interaction[Any], request: Awaitable[Request], private: bool) -> Request:
    """Await a request; defer when it isn't there well within Discord's three seconds."""
    building = asyncio.ensure_future(request)
    await asyncio.wait([building], timeout=_READ_BEFORE_DEFER_S)
    if not building.done():
        await interaction.response.defer(ephemeral=private, thinking=True)
    return await building


async def _ended_within(job: Job, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await job.finished.wait()
    return job.state.final
