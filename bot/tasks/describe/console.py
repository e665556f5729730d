"""Add `hubcord describe`."""

from __future__ import annotations

from bot.cli.print_result import print_heading, print_json, print_text
from bot.cli.session import Session
from bot.cli.task_command import Config, Json, Model, Pictures, chosen_model, picture_requests
from bot.engine.job import Job
from bot.tasks.describe.task import DESCRIBE, DescribeRequest, DescribeResult


def describe(files: Pictures, model: Model = None, config: Config = None, json: Json = False) -> None:
    """Say in words what each picture shows."""
    with Session.open(config, json=json) as session:
        settings = session.settings.of(DESCRIBE)
        requests = picture_requests(DescribeRequest, files, settings, model=chosen_model(model, settings))
        session.run(DESCRIBE.name, requests, _show, names=[str(path) for path in files])


def _show(result: DescribeResult, job: Job, *, json: bool, name: str) -> None:
    """Print what a picture shows."""
    if json:
        print_json(job, file=name, text=result.text, model=result.model)
        return
    print_heading(name, result.model)
    print_text(result.text)
