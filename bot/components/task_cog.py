"""Share what the cogs of all tasks have in common: model choice, autocomplete, message menus, answering."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

import discord
from discord import app_commands
from discord.ext import commands

from bot.bot import Bot
from bot.components.autocomplete import model_choices
from bot.tasks.base import Request
from bot.tasks.task import AnyTask

Interaction = discord.Interaction[Bot]
OnMessage = Callable[[Any, Interaction, discord.Message], Coroutine[Any, Any, None]]
OnMessageT = TypeVar("OnMessageT", bound=OnMessage)
_MENU = "__message_menu__"


def message_menu(name: str) -> Callable[[OnMessageT], OnMessageT]:
    """Make a method of a TaskCog the message menu `name`. Discord shows it below *Apps* on every message.

    discord.py 2.7.1 takes five menus of a kind, and hubcord has five.
    """

    def mark(method: OnMessageT) -> OnMessageT:
        setattr(method, _MENU, name)
        return method

    return mark


class TaskCog(commands.Cog):
    """Be the cog of one task, as in `class Summarize(TaskCog, task=SUMMARIZE)`.

    Its slash command has the task's name. An option `model` of that command is completed with the task's models.
    """

    task: ClassVar[AnyTask]

    def __init_subclass__(cls, *, task: AnyTask, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.task = task

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._menus = [
            app_commands.ContextMenu(name=getattr(method, _MENU), callback=method)
            for method in (getattr(self, name) for name in vars(type(self)))
            if hasattr(method, _MENU)
        ]
        for command in self.get_app_commands():
            if isinstance(command, app_commands.Command) and command.get_parameter("model") is not None:
                command.autocomplete("model")(self._complete_model)

    async def cog_load(self) -> None:
        """Register the view of the task's answers, and the message menus."""
        self._bot.replies.register(self.task.name, self.task.load_view())
        for menu in self._menus:
            self._bot.tree.add_command(menu)

    async def cog_unload(self) -> None:
        """Take the message menus away."""
        for menu in self._menus:
            self._bot.tree.remove_command(menu.name, type=menu.type)

    def model(self, interaction: Interaction, name: str | None = None) -> str:
        """Return the reference of the model that `name` means, else of the default in this place; raise BadInput."""
        return self._bot.model_defaults.choose(interaction, self.task.name, name)

    async def answer(
        self, interaction: Interaction, request: Request | Coroutine[Any, Any, Request], *, private: bool = False
    ) -> None:
        """Queue a request, show its progress and answer it; raise UserError while nothing was sent yet."""
        await self._bot.replies.answer(interaction, self.task.name, request, private=private)

    async def _complete_model(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return model_choices(interaction, self.task.name, typed)
