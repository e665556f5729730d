"""Post one answer with the bot's own token, when the interaction's doesn't work any more.

A message can't be posted twice without being seen, and Discord tells the nonces of the last few minutes apart only.
So a short message that mentions the asker is posted first, its place made durable, and the answer is put there by an
edit, which may be repeated after any crash.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord

from bot.client.readable import readable
from bot.client.refusals import MESSAGE_GONE, is_denied, is_transient
from bot.client.tree import NETWORK_ERRORS
from bot.engine.job import JobState
from bot.i18n.texts import gettext as _
from bot.replies.reply_address import ReplyAddress, readdress
from bot.ui.answer import Answer, in_words
from bot.ui.fit_upload import fit

if TYPE_CHECKING:
    from bot.bot import Bot
    from bot.engine.job import Job

log = logging.getLogger(__name__)


class LateDelivery:
    """Answer in the channel and mention the asker; a private answer goes by direct message."""

    def __init__(self, bot: Bot, job: Job) -> None:
        self._bot = bot
        self._job = job

    @property
    def _address(self) -> ReplyAddress:
        return ReplyAddress.of_job(self._job)

    async def answer(self, answer: Answer) -> None:
        """Post an answer; raise HTTPException. That a job was cancelled is told in its own message alone."""
        if self._job.state is JobState.CANCELLED:
            return await self.edit_original(content=answer.text, view=None)
        try:
            message = await self._place()
            await self._put_what_may_be(answer, message)
        except discord.HTTPException as error:
            if not is_denied(error) or error.code == MESSAGE_GONE:
                raise
            return await self._answer_elsewhere(answer, error)
        await self._point_to(message)
        return None

    async def _answer_elsewhere(self, answer: Answer, error: discord.HTTPException) -> None:
        """Answer where the usual place is shut: in the interaction's message, else by direct message."""
        address = self._address
        if address.private:
            return await self._tell_closed(error)
        if address.late_place is not None and address.late_place[0] != address.channel_id:
            raise error  # it was the direct message already
        log.info("the answer of job %s can't be posted in its channel: %s", self._job.id, error)
        readdress(self._bot.engine.store, self._job, tried=True, late_place=None)
        await self._bot.engine.store.flush()
        if not await self.repeat(answer):
            await self._answer_directly(answer)
        return None

    async def _answer_directly(self, answer: Answer) -> None:
        """Send a public answer by direct message, and say so in the interaction's message as far as that works."""
        try:
            await self._put(answer, await self._place(direct=True))
        except discord.HTTPException as error:
            if is_denied(error):
                await self._say_instead(
                    _("I may not answer here. Ask a moderator to let me send messages, then ask again.")
                )
            raise
        await self._say_instead(_("I may not answer here, so I sent the answer by direct message."))

    async def _put_what_may_be(self, answer: Answer, message: discord.PartialMessage) -> None:
        """Put an answer into its message; as text where the bot may not show it as it is, with what would help."""
        words = in_words(answer)
        try:
            return await self._put(answer, message)
        except discord.Forbidden as error:
            if is_transient(error) or words is answer or not self._is_in_channel(message):
                raise
            log.warning("the answer of job %s can't be shown as it is: %s", self._job.id, error)
        return await self._put(replace(words, text=f"\n{words.text}"), message)

    async def repeat(self, answer: Answer) -> bool:
        """Put an answer that may be there already into the interaction's message; return False if that can't be done.

        A second one elsewhere might be one too many. One whose message was deleted isn't wanted.
        """
        original = self._original
        if original is None or self._address.late_place is not None:
            return False
        try:
            await self._put(answer, original)
        except discord.HTTPException as error:
            if not is_denied(error):
                raise
            return error.code == MESSAGE_GONE
        return True

    async def edit_original(self, **changes: Any) -> None:
        """Edit the interaction's message, if it is known and not private: those only their token reaches."""
        if self._original is not None:
            with readable():
                await self._original.edit(**changes, allowed_mentions=discord.AllowedMentions.none())

    @property
    def _original(self) -> discord.PartialMessage | None:
        address = self._address
        if address.message_id is None or address.channel_id is None or address.private:
            return None
        return self._message(address.channel_id, address.message_id)

    async def _place(self, *, direct: bool = False) -> discord.PartialMessage:
        """Return the message that the answer goes into, posting it if it isn't there yet."""
        place = self._address.late_place
        if place is None:
            with readable():
                sent = await self._announce(direct=direct)
                place = (sent.channel.id, sent.id)
            readdress(self._bot.engine.store, self._job, late_place=place)
        await self._bot.engine.store.flush()
        return self._message(*place)

    async def _announce(self, *, direct: bool) -> discord.Message:
        address = self._address
        done = self._job.state is JobState.DONE
        text = _("Your answer is ready.") if done else _("Your request could not be answered.")
        if direct or address.private or address.channel_id is None:
            channel = await self._bot.create_dm(discord.Object(address.user_id))
            return await channel.send(text, nonce=f"{self._job.id}-direct", allowed_mentions=self._pings)
        return await self._send(address.channel_id, text)

    async def _put(self, answer: Answer, message: discord.PartialMessage) -> None:
        """Edit the answer into its message."""
        limit = min(self._address.upload_limit, discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES)
        answer = await asyncio.to_thread(fit, answer, limit)
        words = [self._mention] * self._is_in_channel(message) + [answer.text] * bool(answer.text)
        files = answer.discord_files()
        with readable():
            await message.edit(
                content=" ".join(filter(None, words)) or None,
                embeds=answer.embeds,
                attachments=files,
                view=None,
                allowed_mentions=self._pings,
            )

    async def _point_to(self, message: discord.PartialMessage) -> None:
        """Say in the interaction's message where the answer is, instead of a progress and a button of the past."""
        there = self._job.requester.guild_id if self._is_in_channel(message) else None
        place = f"{there or '@me'}/{message.channel.id}/{message.id}"
        await self._say_instead(_("The answer is here: {link}", link=f"https://discord.com/channels/{place}"))

    async def _say_instead(self, text: str) -> None:
        try:
            await self.edit_original(content=text, view=None)
        except NETWORK_ERRORS as error:
            log.debug("the first message of job %s stays as it is: %s", self._job.id, error)

    async def _tell_closed(self, error: discord.HTTPException) -> None:
        """Say in the channel that a private answer can't be delivered, without a word of it."""
        channel_id = self._address.channel_id
        if channel_id is None:
            raise error
        text = _("I can't send you your answer: your direct messages are closed to me. Open them and ask again.")
        log.warning("the answer of job %s can't be delivered by direct message: %s", self._job.id, error)
        with readable():
            await self._send(channel_id, text)

    async def _send(self, channel_id: int, text: str) -> discord.Message:
        """Post in a channel; the nonce keeps a repetition within a few minutes from being seen."""
        channel = self._bot.get_partial_messageable(channel_id)
        return await channel.send(f"{self._mention} {text}", nonce=self._job.id, allowed_mentions=self._pings)

    def _message(self, channel_id: int, message_id: int) -> discord.PartialMessage:
        return self._bot.get_partial_messageable(channel_id).get_partial_message(message_id)

    def _is_in_channel(self, message: discord.PartialMessage) -> bool:
        """Say whether a message is where the person asked, not in direct messages."""
        return message.channel.id == self._address.channel_id

    @property
    def _mention(self) -> str:
        return f"<@{self._address.user_id}>"

    @property
    def _pings(self) -> discord.AllowedMentions:
        person = discord.Object(self._address.user_id)
        return discord.AllowedMentions(users=[person], everyone=False, roles=False)
