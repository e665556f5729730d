"""Add `hubcord translate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from bot.cli.print_result import print_heading, print_json, print_text
from bot.cli.session import Session
from bot.cli.task_command import Config, Json, Model, Texts, attempt, lines_of
from bot.engine.job import Job
from bot.i18n.texts import gettext as _
from bot.tasks.translate.languages import language_name
from bot.tasks.translate.task import TRANSLATE, TranslateRequest, TranslateResult


def translate(
    texts: Texts,
    to: Annotated[str, typer.Option(help="The language to translate into: a code like pt, or a name.")],
    source: Annotated[
        str | None, typer.Option("--from", help="The language of the text; found out when left out.")
    ] = None,
    model: Model = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Translate each text."""
    with Session.open(config, json=json) as session:
        settings = session.settings.of(TRANSLATE)
        build: Callable[..., TranslateRequest] = settings.request
        if model is not None and model not in settings.references:
            build = settings.request_of_model
        options = {"to": to, "source": source, "model": model}
        build("-", **options)
        requests = (attempt(build, text, **options) for text in lines_of(texts))
        session.run(TRANSLATE.name, requests, _show)


def _show(result: TranslateResult, job: Job, *, json: bool, name: str) -> None:  # noqa: ARG001
    """Print a translation below its languages."""
    if json:
        shown = {"text": result.text, "from": result.source, "to": result.to, "through": result.through}
        print_json(job, **shown, model=result.model)
        return
    languages = f"{language_name(result.source)} → {language_name(result.to)}"
    if result.through:
        languages = _("{way} (through {through})", way=languages, through=language_name(result.through))
    print_heading(languages, result.model)
    print_text(result.text)
