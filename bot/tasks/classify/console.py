"""Add `hubcord classify`."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.print_result import print_bars, print_heading, print_json
from bot.cli.session import Session
from bot.cli.task_command import Config, Json, Model, Pictures, picture_requests
from bot.engine.job import Job
from bot.tasks.classify.task import CLASSIFY, MAX_TOP, ClassifyRequest, ClassifyResult, read_labels


def classify(
    files: Pictures,
    top: Annotated[int | None, typer.Option(min=1, max=MAX_TOP, help="How many labels to show.")] = None,
    labels: Annotated[str, typer.Option(help="Labels of your own to choose from: a cat, a dog.")] = "",
    model: Model = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Name what each picture shows."""
    with Session.open(config, json=json) as session:
        settings, own = session.settings.of(CLASSIFY), read_labels(labels)
        reference = settings.choose_for(own, None) if model is None else model
        most = top or min(len(own), MAX_TOP) or 5
        requests = picture_requests(ClassifyRequest, files, settings, model=reference, top=most, labels=own)
        session.run(CLASSIFY.name, requests, _show, names=[str(path) for path in files])


def _show(result: ClassifyResult, job: Job, *, json: bool, name: str) -> None:
    """Print the labels of a picture."""
    labels = [(label.label, label.score) for label in result.labels]
    if json:
        shown = [{"label": label, "score": score} for label, score in labels]
        print_json(job, file=name, labels=shown, model=result.model, width=result.width, height=result.height)
        return
    print_heading(name, result.model)
    print_bars(labels)
