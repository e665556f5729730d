"""Define a task: the handle that ties a command's request, result, settings, pipeline and view together."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from bot.hub.model_filter import ModelFilter
from bot.tasks.base import Pipeline, Request, Result
from bot.tasks.settings import TaskSettings

RequestT = TypeVar("RequestT", bound=Request)
ResultT = TypeVar("ResultT", bound=Result)
SettingsT = TypeVar("SettingsT", bound=TaskSettings)


@dataclass(frozen=True, slots=True)
class Task(Generic[RequestT, ResultT, SettingsT]):
    """Describe one task.

    `name` is that of its command, of its table in the configuration and of its jobs in the store. `pipeline`, `view`
    and `console` are `module:attribute` inside the request's package. They are imported on demand: the pipeline in a
    worker process, the view where discord.py is at hand, the console's command by the command line.
    Lists of tasks show those with a lower `order` first.
    """

    name: str
    request: type[RequestT]
    result: type[ResultT]
    settings: type[SettingsT]
    pipeline: str
    view: str
    console: str
    order: int = 100

    def make_pipeline(self, tasks: Mapping[str, TaskSettings]) -> Pipeline:
        """Import the pipeline and make it with its settings, and with those of the tasks that these need, by name.

        Call this in a worker process.
        """
        settings = tasks[self.name]
        others = {name: tasks[name] for name in settings.needs.values()}
        return cast("Pipeline", self._load(self.pipeline)(settings, **others))

    @property
    def model_filter(self) -> ModelFilter:
        """Return the models that the task can use."""
        return cast("type[Pipeline]", self._load(self.pipeline)).model_filter

    def load_view(self) -> Callable[[RequestT, ResultT], Any]:
        """Import the function that turns a request and its result into an `Answer`."""
        return cast("Callable[[RequestT, ResultT], Any]", self._load(self.view))

    def load_console(self) -> Callable[..., None]:
        """Import the function that is the task's command on the command line."""
        return cast("Callable[..., None]", self._load(self.console))

    def _load(self, path: str) -> Any:
        module, _, attribute = path.partition(":")
        package = self.request.__module__.rpartition(".")[0]
        return getattr(importlib.import_module(f"{package}.{module}"), attribute)


AnyTask = Task[Any, Any, Any]
