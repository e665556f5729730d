"""Follow jobs and answer them in Discord, each exactly once.

An answer edits the message that Discord shows while the bot is thinking. Editing is idempotent, so it may be tried
again after a crash. When the interaction's 15 minutes are over, the answer is posted with the bot's own token
(`bot/replies/late_delivery.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

import discord

from bot.client.permissions import requester_of
from bot.client.tree import NETWORK_ERRORS, REFUSED, unexpected
from bot.engine.job import Job
from bot.errors import UserError
from bot.i18n.texts import gettext as _
from bot.i18n.texts import use_locale
from bot.machine.background import BackgroundTasks
from bot.replies.deferral import Deferral
from bot.replies.delivery import Delivery
from bot.replies.progress import show_progress
from bot.replies.reply_address import ReplyAddress
from bot.tasks.base import Request
from bot.ui.answer import Answer
from bot.ui.markdown import MOST_CHARS, cut, escape

if TYPE_CHECKING:
    from bot.bot import Bot

log = logging.getLogger(__name__)
_LAST_POSTS_S = 5.0
_BUILT_AT_ONCE = 16
_POST_AGAIN_AFTER_S = (5, 30, 120, 600)
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
        self._building = asyncio.Semaphore(_BUILT_AT_ONCE)
        self._taken: set[asyncio.Future[None]] = set()
        self._following: dict[asyncio.Task[Any], Job] = {}
        self._resumed = BackgroundTasks()
        self._messages: dict[int, Job] = {}
        self._unwanted: set[str] = set()

    def register(self, task: str, render: Renderer) -> None:
        """Say how the request and result of a task become an answer."""
        self._renderers[task] = render

    async def answer(
        self,
        interaction: discord.Interaction[Any],
        task: str,
        request: Request | Coroutine[Any, Any, Request],
        *,
        private: bool = False,
    ) -> None:
        """Queue a request and answer it; raise UserError while nothing was sent yet.

        A request that takes a while to build (a download) is awaited, if there is room for one more job; if it takes
        long, the answer is deferred first.
        """
        deferral = Deferral(interaction, private=private)
        with self._taking():
            try:
                if not isinstance(request, Request):
                    request = await self._built(interaction, request, deferral)
                job = await self._submit(interaction, task, request, private=private)
            except UserError:
                interaction.extras[REFUSED] = not private
                raise
            try:
                await deferral.send()
            except NETWORK_ERRORS:  # too late or deleted: nobody sees that the job was taken
                self._bot.engine.cancel(job.id)
                self._bot.engine.mark_answered(job)
                raise
        await self.follow(job, message_id=deferral.message_id)

    async def follow(self, job: Job, *, message_id: int | None = None) -> None:
        """Show a job's progress until it ends, then answer it."""
        if job.reply_to is None:
            return
        posting = Delivery(self._bot, job, message_id=message_id)
        use_locale(posting.address.locale)
        with self._followed(job), self._shown_in(posting.address.message_id, job):
            await self.waiting(self._until_ended(job, posting))
            self._bot.owner_alerts.notify_unavailable(job.error)
            if job.id not in self._unwanted:
                await self._deliver(posting, self._answer_to(job))
            self._unwanted.discard(job.id)
            self._bot.engine.mark_answered(job)

    async def _deliver(self, posting: Delivery, answer: Answer) -> None:
        """Post an answer, again and again while Discord has trouble; when the bot stops, the next start posts it."""
        for wait_s in itertools.chain(_POST_AGAIN_AFTER_S, itertools.repeat(_POST_AGAIN_AFTER_S[-1])):
            try:
                return await posting.answer(answer)
            except NETWORK_ERRORS as error:
                log.warning("an answer can't be posted now, trying again in %d s: %s", wait_s, error)
            await asyncio.sleep(wait_s)
        return None

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
        self._resumed.spawn(self.follow(job), name=f"answer {job.id}")

    async def close(self) -> None:
        """Let commands be deferred and ended jobs be answered; the rest is answered after the next start."""
        await _wait(self._taken)
        await _wait([task for task, job in self._following.items() if job.state.final])
        left = list(self._following)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._resumed.close()

    @contextlib.contextmanager
    def _taking(self) -> Iterator[None]:
        """Note that a command is being taken, from its request to its deferral."""
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._taken.add(taken)
        try:
            yield
        finally:
            self._taken.discard(taken)
            taken.cancel()

    @contextlib.contextmanager
    def _followed(self, job: Job) -> Iterator[None]:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._following[task] = job
        try:
            yield
        finally:
            del self._following[task]

    async def _built(
        self, interaction: discord.Interaction[Any], building: Coroutine[Any, Any, Request], deferral: Deferral
    ) -> Request:
        """Build a request, no more than some at a time: none of them counts as a job yet."""
        try:
            self._bot.engine.admission.check_count(requester_of(interaction))
        except UserError:
            building.close()
            raise
        return await deferral.bridge(self._in_turn(building))

    async def _in_turn(self, building: Coroutine[Any, Any, Request]) -> Request:
        async with self._building:
            return await building

    async def _submit(
        self, interaction: discord.Interaction[Any], task: str, request: Request, *, private: bool
    ) -> Job:
        address = ReplyAddress.of(interaction, private=private)
        return await self._bot.engine.submit(task, request, requester_of(interaction), reply_to=address.dump())

    async def _until_ended(self, job: Job, posting: Delivery) -> None:
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

    def _answer_to(self, job: Job) -> Answer:
        """Return what people see of a job's end; where that can't be made, a reference, so that no job stays open."""
        try:
            return self._render(job)
        except Exception as error:  # noqa: BLE001 - like the command tree, which no job of before a restart is in
            return Answer(text=unexpected(error))

    def _render(self, job: Job) -> Answer:
        if job.result is not None:
            return self._renderers.get(job.task, _not_offered)(job.request, job.result)
        if isinstance(job.error, UserError):
            return Answer(text=cut(escape(str(job.error)), MOST_CHARS))
        return Answer(text=unexpected(job.error or RuntimeError(f"job {job.id} has no result")))


def _not_offered(_request: object, _result: object) -> Answer:
    """Answer a job of the last run whose command has gone with its models."""
    return Answer(text=_("This command isn't offered here any more."))


async def _wait(ends: Collection[asyncio.Future[Any]]) -> None:
    if ends:
        await asyncio.wait(ends, timeout=_LAST_POSTS_S)
