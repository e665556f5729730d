"""Add /imagine."""

from __future__ import annotations

import asyncio
from typing import Any

from discord import app_commands

from bot.bot import Bot
from bot.components.autocomplete import matching
from bot.components.task_cog import Interaction, TaskCog
from bot.errors import BadInput
from bot.tasks.imagine.task import IMAGINE, MAX_PROMPT_CHARS, MAX_SEED, ImagineRequest

_MAX_STEPS, _MAX_GUIDANCE, _MAX_COUNT = 1000, 50, 10
_MAX_CHOICE_CHARS = 100


class Imagine(TaskCog, task=IMAGINE):
    """Make pictures."""

    def __init__(self, bot: Bot) -> None:
        super().__init__(bot)
        self._settings = bot.settings.of(IMAGINE)

    @app_commands.command()
    @app_commands.describe(
        prompt="What the picture should show; <lora:NAME:0.8> in it adds an adapter",
        negative="What it should not show",
        size="Width and height in pixels, like 512x768; the model's own when left out",
        steps="How many steps to take: more is slower and finer",
        guidance="How closely to follow the prompt",
        scheduler="How the steps are taken; the model's own when left out",
        lora="Adapters that change the style, like NAME or NAME:0.8; several with commas",
        seed="The same seed gives the same picture; random when left out",
        count="How many pictures",
        model="The model that makes them",
    )
    async def imagine(
        self,
        interaction: Interaction,
        prompt: app_commands.Range[str, 1, MAX_PROMPT_CHARS],
        negative: app_commands.Range[str, 0, MAX_PROMPT_CHARS] = "",
        size: str | None = None,
        steps: app_commands.Range[int, 1, _MAX_STEPS] | None = None,
        guidance: app_commands.Range[float, 0, _MAX_GUIDANCE] | None = None,
        scheduler: str | None = None,
        lora: str = "",
        seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
        count: app_commands.Range[int, 1, _MAX_COUNT] = 1,
        model: str | None = None,
    ) -> None:
        """Make pictures from a prompt."""
        request = self._request(
            prompt,
            model=self.model(interaction, model),
            negative=negative,
            size=size,
            steps=steps,
            guidance=guidance,
            scheduler=scheduler,
            lora=lora.split(","),
            seed=seed,
            count=count,
        )
        await self.answer(interaction, request)

    async def _request(self, prompt: str, **options: Any) -> ImagineRequest:
        """Build a request; refuse at once what is known not to fit the model."""
        request = self._settings.request(prompt, **options)
        await asyncio.to_thread(self._settings.check_fit, request)
        return request

    @imagine.autocomplete("size")
    async def _sizes(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        sizes = await asyncio.to_thread(self._settings.sizes, self._chosen(interaction))
        return matching(((size.replace("x", "×"), size) for size in sizes), typed.replace("x", "×"))

    @imagine.autocomplete("scheduler")
    async def _schedulers(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        names = await asyncio.to_thread(self._settings.schedulers, self._chosen(interaction))
        return matching(((name, name) for name in names), typed)

    @imagine.autocomplete("lora")
    async def _loras(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        """Offer the adapters for the model, for the last one of those that are typed."""
        before, comma, last = typed.rpartition(",")
        loras = await asyncio.to_thread(self._settings.loras_for, self._chosen(interaction))
        written = f"{before}{comma} " if comma else ""
        return [
            app_commands.Choice(name=(written + choice.name)[:100], value=written + choice.value)
            for choice in matching(((lora.name, lora.name) for lora in loras), last.partition(":")[0])
            if len(written + choice.value) <= _MAX_CHOICE_CHARS
        ]

    def _chosen(self, interaction: Interaction) -> str:
        """Return the model that is chosen so far."""
        model: str | None = getattr(interaction.namespace, "model", None)
        try:
            return self.model(interaction, model)
        except BadInput:
            return self.model(interaction)


async def setup(bot: Bot) -> None:
    """Add the cog."""
    await bot.add_cog(Imagine(bot))
