"""Say where an answer goes, in a form that survives a restart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Self

import discord

from bot.engine.job import Job
from bot.store.base import Store

_TOKEN_LIFE = timedelta(minutes=15)
"""Counted from when an interaction came here: Discord's clock and this machine's may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyAddress:
    """Hold what is needed to answer an interaction, by its token or without.

    `expires_at` is when the token stops working, in seconds since the epoch; `upload_limit` is in bytes. `asker` is
    how the person is called there, for moderators to see. `message_id` is the interaction's own message, once that is
    known; `tried` says that the answer may be there already; `late_place` is the channel and message of an answer that
    came too late for the token.
    """

    application_id: int
    token: str
    expires_at: float
    channel_id: int | None
    user_id: int
    private: bool
    upload_limit: int
    locale: str
    asker: str = ""
    message_id: int | None = None
    tried: bool = False
    late_place: Sequence[int] | None = None

    @classmethod
    def of(cls, interaction: discord.Interaction[Any], *, private: bool) -> Self:
        """Return where the answer to an interaction goes."""
        return cls(
            application_id=interaction.application_id,
            token=interaction.token,
            expires_at=(discord.utils.utcnow() + _TOKEN_LIFE).timestamp(),
            channel_id=interaction.channel_id,
            user_id=interaction.user.id,
            private=private,
            upload_limit=interaction.filesize_limit,
            locale=interaction.locale.value,
            asker=interaction.user.display_name,
        )

    @classmethod
    def of_job(cls, job: Job) -> Self:
        """Return where the answer to a job goes that somebody waits for in Discord."""
        return cls(**(job.reply_to or {}))

    def dump(self) -> dict[str, Any]:
        """Return the address as JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def expired(self) -> bool:
        """Say whether the interaction's token is too old to be used."""
        return discord.utils.utcnow().timestamp() >= self.expires_at


def readdress(store: Store, job: Job, **changes: Any) -> None:
    """Change where a job's answer goes; soon durable."""
    job.reply_to = replace(ReplyAddress.of_job(job), **changes).dump()
    store.update_address(job)
