"""List the tasks: what each asks for, answers, and runs. A new command adds one line here."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from bot.hub.model_filter import ADAPTERS, ModelFilter
from bot.tasks.base import Pipeline, Request, Result
from bot.tasks.classify.pipeline import ClassifyRequest, ClassifyResult, ClassifySettings
from bot.tasks.describe.pipeline import DescribeRequest, DescribeResult, DescribeSettings
from bot.tasks.detect.pipeline import DetectRequest, DetectResult, DetectSettings
from bot.tasks.imagine.task import ImagineRequest, ImagineResult, ImagineSettings
from bot.tasks.sentiment.pipeline import SentimentRequest, SentimentResult, SentimentSettings
from bot.tasks.settings import TaskSettings
from bot.tasks.translate.pipeline import TranslateRequest, TranslateResult, TranslateSettings


@dataclass(frozen=True, slots=True)
class Task:
    """Tie a task's name to its request, result, settings and the pipeline that runs it.

    `pipeline` is `module:class`, imported in the worker only.
    """

    name: str
    request: type[Request]
    result: type[Result]
    settings: type[TaskSettings]
    pipeline: str

    def make_pipeline(self, tasks: Mapping[str, TaskSettings]) -> Pipeline:
        """Import the pipeline and make it with its settings, and those of the tasks that it needs, by their names.

        Call this in a worker process.
        """
        settings = tasks[self.name]
        others = {name: tasks[name] for name in settings.needs.values()}
        return cast("Pipeline", self._pipeline_type()(settings, **others))

    @property
    def model_filter(self) -> ModelFilter:
        """Return what models the task can use."""
        return cast("type[Pipeline]", self._pipeline_type()).model_filter

    def _pipeline_type(self) -> Any:
        module, _, name = self.pipeline.partition(":")
        return getattr(importlib.import_module(module), name)


_PIPELINES = "bot.tasks"
_ALL = (
    Task(
        "sentiment",
        SentimentRequest,
        SentimentResult,
        SentimentSettings,
        f"{_PIPELINES}.sentiment.pipeline:SentimentPipeline",
    ),
    Task(
        "classify",
        ClassifyRequest,
        ClassifyResult,
        ClassifySettings,
        f"{_PIPELINES}.classify.pipeline:ClassifyPipeline",
    ),
    Task(
        "imagine",
        ImagineRequest,
        ImagineResult,
        ImagineSettings,
        "bot.tasks.imagine.pipeline:ImaginePipeline",
    ),
    Task(
        "translate",
        TranslateRequest,
        TranslateResult,
        TranslateSettings,
        f"{_PIPELINES}.translate.pipeline:TranslatePipeline",
    ),
    Task("detect", DetectRequest, DetectResult, DetectSettings, f"{_PIPELINES}.detect.pipeline:DetectPipeline"),
    Task(
        "describe",
        DescribeRequest,
        DescribeResult,
        DescribeSettings,
        f"{_PIPELINES}.describe.pipeline:DescribePipeline",
    ),
)
TASKS: Mapping[str, Task] = {task.name: task for task in _ALL}


def configured(tasks: Mapping[str, TaskSettings]) -> Iterator[tuple[str, str, ModelFilter]]:
    """Yield the task and reference of all that is configured, and what it may be: models, then their adapters."""
    for name, settings in tasks.items():
        yield from ((name, reference, TASKS[name].model_filter) for reference in settings.references)
        yield from ((name, reference, ADAPTERS) for reference in settings.adapters.values())
