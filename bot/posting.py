"""Post one job's messages: by the interaction's token while it works, else with the bot's own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import discord

from bot.address import Address
from bot.original import edit_original
from bot.texts import translate as _
from bot.tree import TROUBLE
from bot.views.answer import Answer
from bot.views.cancel import cancel_view
from bot.views.fitting import fit

if TYPE_CHECKING:
    from bot.bot import Bot

log = logging.getLogger(__name__)
_TOKEN_GONE = {10015, 10062, 50027}  # unknown webhook, unknown interaction, invalid webhook token
_MESSAGE_GONE = {10008}
_TOO_LARGE = 40005


class Posting:
    """Hold the way back to one person who asked."""

    def __init__(self, bot: Bot, address: Address, job_id: str) -> None:
        self._bot = bot
        self.address = address
        self._job_id = job_id

    async def progress(self, text: str) -> bool:
        """Show how far the job is; return False when its message was deleted."""
        if self.address.expired:
            return True
        try:
            await self._edit(content=text, view=cancel_view(self._job_id))
        except TROUBLE as error:
            if isinstance(error, discord.HTTPException) and error.code in _MESSAGE_GONE:
                return False
            log.warning("progress of job %s can't be shown: %s", self._job_id, error)
        return True

    async def answer(self, answer: Answer) -> None:
        """Post the answer where the person can see it; where that isn't possible, say so in the log."""
        try:
            await self._post(await asyncio.to_thread(fit, answer, self.address.upload_limit))
        except (discord.Forbidden, discord.NotFound) as error:
            log.warning("the answer of job %s can't be posted: %s", self._job_id, error)
        except discord.HTTPException as error:
            if error.code != _TOO_LARGE:
                raise
            await self._post(Answer(text=_("The answer is too large to upload here.")))

    async def _post(self, answer: Answer) -> None:
        if not await self._by_token(answer):
            await self._by_bot(answer)

    async def _by_token(self, answer: Answer) -> bool:
        """Edit the interaction's message; return False when its token doesn't work any more."""
        if self.address.expired:
            return False
        try:
            await self._edit(
                content=answer.text,
                embeds=answer.embeds,
                attachments=answer.discord_files(),
                view=None,
            )
        except discord.HTTPException as error:
            if error.code in _MESSAGE_GONE:
                return True  # somebody deleted it: they don't want the answer
            if error.code not in _TOKEN_GONE:
                raise
            return False
        return True

    async def _by_bot(self, answer: Answer) -> None:
        """Post in the channel and mention the asker; a private answer goes by direct message."""
        target: discord.abc.Messageable
        person = discord.Object(self.address.user_id)
        if self.address.private or self.address.channel_id is None:
            target, mention = await self._bot.create_dm(person), ""
        else:
            target, mention = self._bot.get_partial_messageable(self.address.channel_id), f"<@{person.id}> "
        await target.send(
            f"{mention}{answer.text or ''}".strip() or None,
            embeds=answer.embeds,
            files=answer.discord_files(),
            nonce=self._job_id,
            allowed_mentions=discord.AllowedMentions(users=[person], everyone=False, roles=False),
        )

    async def _edit(self, **changes: object) -> None:
        await edit_original(self._bot, self.address, **changes)
