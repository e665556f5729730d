"""Add `hubcord sentiment`."""

from __future__ import annotations

from bot.cli.print_result import print_bars, print_heading, print_json, print_note
from bot.cli.session import Session
from bot.cli.task_command import Config, Json, Model, Texts, attempt, chosen_model, lines_of
from bot.engine.job import Job
from bot.i18n.texts import gettext as _
from bot.tasks.sentiment.task import SENTIMENT, SentimentRequest, SentimentResult


def sentiment(texts: Texts, model: Model = None, config: Config = None, json: Json = False) -> None:
    """Tell the sentiment of each text."""
    with Session.open(config, json=json) as session:
        reference = chosen_model(model, session.settings.of(SENTIMENT))
        requests = (attempt(SentimentRequest, model=reference, text=text) for text in lines_of(texts))
        session.run(SENTIMENT.name, requests, _show)


def _show(result: SentimentResult, job: Job, *, json: bool, name: str) -> None:
    """Print the label of a text and all scores."""
    if json:
        shown = {"label": result.label, "score": result.score, "scores": result.scores}
        print_json(job, **shown, truncated=result.truncated, model=result.model)
        return
    print_heading(getattr(job.request, "text", name), result.model)
    print_bars(result.scores.items())
    if result.truncated:
        print_note(_("Only the beginning of this long text was read."))
