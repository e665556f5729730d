"""Add /cancel."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.components.autocomplete import matching
from bot.components.job_menu import cancel_choice, job_choices, send_queue
from bot.components.queue_embed import VisibleJobs
from bot.errors import UserError
from bot.i18n.texts import gettext as _


class Cancel(commands.Cog):
    """Stop jobs."""

    @app_commands.command()
    @app_commands.describe(job="Which one; not needed when you have only one")
    async def cancel(self, interaction: discord.Interaction[Bot], job: str | None = None) -> None:
        """Stop a job that waits or runs."""
        sight = VisibleJobs.of(interaction)
        if job is None and len(sight.own) == 1:
            job = sight.own[0].id
        if job is not None:
            await interaction.response.send_message(await cancel_choice(interaction, job), ephemeral=True)
        elif sight.own or sight.others:
            await send_queue(interaction, _("Choose what to cancel."))
        else:
            raise UserError("You have no jobs here.")

    @cancel.autocomplete("job")
    async def _jobs(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return matching(job_choices(VisibleJobs.of(interaction)), typed)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Cancel())
