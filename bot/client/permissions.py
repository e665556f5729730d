"""Say who asks, and with what right over other people's jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import discord

from bot.engine.job import Job, Requester

if TYPE_CHECKING:
    from bot.bot import Bot


def requester_of(interaction: discord.Interaction[Bot]) -> Requester:
    """Return who asks, with the weight that their roles give."""
    member = interaction.user
    roles = [role.id for role in member.roles] if isinstance(member, discord.Member) else []
    weight = interaction.client.settings.queue.weight(roles)
    return Requester(user_id=member.id, guild_id=interaction.guild_id, weight=weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Hold whose jobs a person may see and stop besides their own.

    Who may manage messages in one channel only has a right over what was asked there, since they could delete it.
    """

    user_id: int
    guild_id: int | None
    channel_id: int | None
    in_guild: bool
    in_channel: bool

    @classmethod
    def of(cls, interaction: discord.Interaction[Bot]) -> Self:
        """Return the rights of the person behind an interaction, at the place where it happens."""
        return cls(
            user_id=interaction.user.id,
            guild_id=interaction.guild_id,
            channel_id=interaction.channel_id,
            in_guild=_permissions_in_guild(interaction).manage_messages,
            in_channel=interaction.guild_id is not None and interaction.permissions.manage_messages,
        )

    def over(self, job: Job) -> bool:
        """Say whether this person may stop a job."""
        if job.requester.user_id == self.user_id:
            return True
        if self.guild_id is None or job.requester.guild_id != self.guild_id:
            return False
        same_channel = job.reply_to is not None and job.reply_to["channel_id"] == self.channel_id
        return self.in_guild or (self.in_channel and same_channel)


def _permissions_in_guild(interaction: discord.Interaction[Bot]) -> discord.Permissions:
    """Return a member's permissions by their roles; none where the bot isn't a member itself and knows no roles."""
    member = interaction.user
    if not isinstance(member, discord.Member) or interaction.client.get_guild(member.guild.id) is None:
        return discord.Permissions.none()
    return member.guild_permissions
