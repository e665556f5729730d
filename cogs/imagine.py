"""Add /imagine."""

from __future__ import annotations

import secrets

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.inference.pipelines.imagine import (
    MAX_PROMPT_CHARS,
    MAX_SEED,
    ImagineRequest,
    ImagineSettings,
    read_size,
)
from bot.views.imagine import imagine_answer
from bot.views.models import matching, model_choices

_SIZES = ("512x512", "768x512", "512x768", "768x768", "1024x1024", "1216x832", "832x1216")
_MAX_STEPS, _MAX_GUIDANCE, _MAX_COUNT = 1000, 50, 10


class Imagine(commands.Cog):
    """Make pictures."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._settings = bot.settings.task(ImagineSettings)
        bot.replies.register("imagine", imagine_answer)

    @app_commands.command()
    @app_commands.describe(
        prompt="What the picture should show",
        negative="What it should not show",
        size="Width and height in pixels, like 512x768; the model's own when left out",
        steps="How many steps to take: more is slower and finer",
        guidance="How closely to follow the prompt",
        seed="The same seed gives the same picture; random when left out",
        count="How many pictures",
        model="The model that makes them",
    )
    async def imagine(
        self,
        interaction: discord.Interaction[Bot],
        prompt: app_commands.Range[str, 1, MAX_PROMPT_CHARS],
        negative: app_commands.Range[str, 0, MAX_PROMPT_CHARS] = "",
        size: str | None = None,
        steps: app_commands.Range[int, 1, _MAX_STEPS] | None = None,
        guidance: app_commands.Range[float, 0, _MAX_GUIDANCE] | None = None,
        seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
        count: app_commands.Range[int, 1, _MAX_COUNT] = 1,
        model: str | None = None,
    ) -> None:
        """Make pictures from a prompt."""
        width, height = read_size(size) if size else (None, None)
        request = ImagineRequest(
            model=self._bot.defaults.choose(interaction, "imagine", model),
            prompt=prompt,
            negative=negative,
            width=width,
            height=height,
            steps=steps,
            guidance=guidance,
            seed=secrets.randbelow(MAX_SEED) if seed is None else seed,
            count=count,
        )
        await self._bot.replies.answer(interaction, "imagine", request)

    @imagine.autocomplete("size")
    async def _sizes(self, _interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return matching(((size.replace("x", "×"), size) for size in _SIZES), typed.replace("x", "×"))

    @imagine.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        return model_choices(interaction, "imagine", typed)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Imagine(bot))
