"""Find the tasks: every package of bot/tasks whose module `task` defines a `Task`."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping

import bot.tasks
from bot.hub.model_filter import ADAPTERS, ModelFilter
from bot.tasks.settings import TaskSettings
from bot.tasks.task import AnyTask, Task


def _find_tasks() -> Iterator[AnyTask]:
    for package in pkgutil.iter_modules(bot.tasks.__path__, "bot.tasks."):
        if package.ispkg and importlib.util.find_spec(f"{package.name}.task"):
            module = importlib.import_module(f"{package.name}.task")
            yield from (value for value in vars(module).values() if isinstance(value, Task))


TASKS: Mapping[str, AnyTask] = {task.name: task for task in sorted(_find_tasks(), key=lambda task: task.order)}


def configured(tasks: Mapping[str, TaskSettings]) -> Iterator[tuple[str, str, ModelFilter]]:
    """Yield (task, reference, filter) of every configured model, then of the adapters."""
    for name, settings in tasks.items():
        yield from ((name, reference, TASKS[name].model_filter) for reference in settings.references)
        yield from ((name, reference, ADAPTERS) for reference in settings.adapters.values())
