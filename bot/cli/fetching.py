"""Fetch models with progress bars."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bot.cli.session import Session
from bot.cli.show_models import print_json
from bot.errors import UserError
from bot.inference.accepts import Accepts
from bot.inference.builders import fetch_builder
from bot.inference.fetch import OnFetch
from bot.inference.hub import find_model
from bot.inference.torchhub import load_hub_classifier

_err = Console(stderr=True)
_FETCHED_BY_TORCH = {"torchvision": fetch_builder, "torchhub": load_hub_classifier}


def fetch_all(session: Session, wanted: Mapping[str, Accepts]) -> None:
    """Fetch models one after another, say what each became, and go on after one that fails."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_err, disable=not _err.is_terminal) as progress:
        for reference, accepts in wanted.items():
            line = progress.add_task(reference, total=1.0)
            try:
                shown = _fetch(session, reference, accepts, partial(_draw, progress, line))
            except UserError as error:
                session.fail(reference, error)
                continue
            _draw(progress, line, 1.0)
            if session.json:
                print_json({"reference": reference, "model": shown})
            else:
                progress.console.print(f"{reference}: {shown}", highlight=False)


def _draw(progress: Progress, line: TaskID, share: float) -> None:
    progress.update(line, completed=share)


def _fetch(session: Session, reference: str, accepts: Accepts, on_fetch: OnFetch) -> str:
    """Fetch a model and return its name and revision."""
    files = find_model(reference, on_fetch, accepts, session.settings.hub.trusted_torchhub)
    if files.reference.scheme in _FETCHED_BY_TORCH:
        _FETCHED_BY_TORCH[files.reference.scheme](files.reference)
    return files.shown
