"""Post one job's messages: by the interaction's token while it works, else with the bot's own."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import discord

from bot.client.refusals import MESSAGE_GONE, is_denied, is_too_large, is_transient, token_is_gone
from bot.client.tree import NETWORK_ERRORS, unexpected
from bot.components.cancel_button import cancel_view
from bot.i18n.texts import gettext as _
from bot.replies.late_delivery import LateDelivery
from bot.replies.original_response import edit_original, find_original
from bot.replies.reply_address import ReplyAddress, readdress
from bot.ui.answer import Answer, in_words
from bot.ui.fit_upload import fit

if TYPE_CHECKING:
    from bot.bot import Bot
    from bot.engine.job import Job

log = logging.getLogger(__name__)
_NO_PERMISSION = {50001, 50013}
EDIT_EVERY_S = 1.0
_LATE_EDIT_EVERY_S = 60.0
"""Edits with the bot's own token count against the same limit of the channel as answers do."""


class Delivery:
    """Hold the way back to one person who asked. `message_id` is the interaction's message, where it is known."""

    def __init__(self, bot: Bot, job: Job, *, message_id: int | None = None) -> None:
        self._bot = bot
        self._job = job
        self._late = LateDelivery(bot, job)
        self._token_failed = False
        self._recorded = False
        if message_id is not None:
            job.reply_to = replace(self.address, message_id=message_id).dump()

    @property
    def address(self) -> ReplyAddress:
        """Return where the answer goes."""
        return ReplyAddress.of_job(self._job)

    @property
    def edit_every_s(self) -> float:
        """Return how often progress may be shown."""
        return EDIT_EVERY_S if self._token_works else _LATE_EDIT_EVERY_S

    async def progress(self, text: str) -> bool:
        """Show how far the job is; return False when its message was deleted."""
        await self._bot.pacing.next()
        if self._job.state.final:
            return True
        try:
            await self._show(text)
        except NETWORK_ERRORS as error:
            if isinstance(error, discord.HTTPException):
                if error.code == MESSAGE_GONE and self._seen:
                    return False
                self._token_failed |= token_is_gone(error)
            log.warning("progress of job %s can't be shown: %s", self._job.id, error)
        return True

    async def answer(self, answer: Answer) -> None:
        """Post the answer where the person can see it; where that isn't possible, say so in the log.

        Raise what may pass: Discord's trouble, and what happens on the way to it.
        """
        await self._bot.pacing.next()
        try:
            await self._post(answer)
        except discord.HTTPException as error:
            if is_transient(error):
                raise
            if is_denied(error):
                log.warning("the answer of job %s can't be posted: %s", self._job.id, error)
            else:
                await self._apologise(error)

    async def _apologise(self, error: discord.HTTPException) -> None:
        """Say that the answer can't be shown as it is."""
        too_large = is_too_large(error)
        try:
            await self._post(
                Answer(text=_("The answer is too large to upload here.") if too_large else unexpected(error))
            )
        except discord.HTTPException as failure:
            if is_transient(failure):
                raise
            log.warning("the answer of job %s can't be posted: %s", self._job.id, failure)

    async def _post(self, answer: Answer) -> None:
        maybe_answered = self.address.tried
        if self._token_works and await self._find():
            await self._note_try()
            if await self._edit(answer):
                return
            readdress(self._bot.engine.store, self._job, tried=maybe_answered)
        if not (maybe_answered and await self._late.repeat(answer)):
            await self._late.answer(answer)

    async def _find(self) -> bool:
        """Know the interaction's message; return False when its token doesn't work, or it never came to be."""
        if self._seen:
            return True
        try:
            message_id = await find_original(self._bot, self.address)
        except discord.HTTPException as error:
            self._token_failed = token_is_gone(error) or is_denied(error)
            if not self._token_failed:
                raise
            return False
        self._job.reply_to = replace(self.address, message_id=message_id).dump()
        return True

    async def _note_try(self) -> None:
        """Let it be durable that the interaction's message may have the answer from here on.

        Else a bot that is killed now, and back after the token's end, would answer a second time elsewhere.
        """
        if not self.address.tried:
            readdress(self._bot.engine.store, self._job, tried=True)
        await self._bot.engine.flush()

    async def _edit(self, answer: Answer) -> bool:
        """Edit the interaction's message; return False when its token doesn't work.

        Discord may ask for the bot's permissions here too: then it is said in words.
        """
        if answer.files:
            answer = await asyncio.to_thread(fit, answer, self.address.upload_limit)
        files = answer.discord_files()
        try:
            await edit_original(
                self._bot, self.address, content=answer.text, embeds=answer.embeds, attachments=files, view=None
            )
        except discord.HTTPException as error:
            if error.code == MESSAGE_GONE:
                return True  # somebody deleted it: they don't want the answer
            words = in_words(answer)
            if error.code in _NO_PERMISSION and words is not answer:
                log.warning("the answer of job %s can't be shown as it is: %s", self._job.id, error)
                return await self._edit(words)
            self._token_failed = token_is_gone(error) or is_denied(error)
            if not self._token_failed:
                raise
            return False
        return True

    async def _show(self, text: str) -> None:
        view = cancel_view(self._job.id)
        if not self._token_works:
            await self._late.edit_original(content=text, view=view)
            return
        message_id = await edit_original(self._bot, self.address, content=text, view=view)
        if not self._recorded:  # its button must go when the answer comes elsewhere, maybe after a restart
            self._recorded = True
            readdress(self._bot.engine.store, self._job, message_id=message_id)

    @property
    def _token_works(self) -> bool:
        return not (self._token_failed or self.address.expired)

    @property
    def _seen(self) -> bool:
        """Say whether the interaction's message is known to have been there."""
        return self.address.message_id is not None
