"""Fetch models with progress bars."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bot.cli.session import Session
from bot.cli.show_models import print_json
from bot.errors import UserError
from bot.hub.model_filter import ModelFilter
from bot.hub.resolve import find_model

_err = Console(stderr=True, markup=False)


def fetch_all(session: Session, wanted: Mapping[str, ModelFilter]) -> None:
    """Fetch models one after another, say what each became, and go on after one that fails."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_err, disable=not _err.is_terminal) as progress:
        for reference, model_filter in wanted.items():
            line = progress.add_task(reference, total=None)
            try:
                trusted = session.settings.hub.trusted_torchhub
                shown = find_model(reference, partial(_draw, progress, line), model_filter, trusted).shown
            except UserError as error:
                progress.remove_task(line)
                session.fail(reference, error)
                continue
            _draw(progress, line, 1, 1)
            if session.json:
                print_json({"reference": reference, "model": shown})
            else:
                progress.console.print(f"{reference}: {shown}", highlight=False)


def _draw(progress: Progress, line: TaskID, done: int, total: int) -> None:
    progress.update(line, completed=done, total=total or None)
