"""Print results: one JSON object a job, or lines for people."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.cli.console import strip_control
from bot.engine.job import Job

_BAR_CELLS = 24
_HEADING_CHARS = 200
_out = Console(highlight=False, markup=False)


def print_json(job: Job, **fields: Any) -> None:
    """Print a job's result and its seconds on the device as one line of JSON."""
    print(jsonlib.dumps({**fields, "seconds": round(job.seconds, 4)}, ensure_ascii=False), flush=True)  # noqa: T201


def print_heading(text: str, model: str) -> None:
    """Print one line in bold, then the model."""
    line = " ".join(strip_control(text).split())
    shown = line if len(line) <= _HEADING_CHARS else line[: _HEADING_CHARS - 1] + "…"
    _out.print(Text(shown, "bold"), Text(model, "dim"))


def print_bars(scores: Iterable[tuple[str, float]]) -> None:
    """Print (label, share) pairs as a table of bars."""
    table = Table.grid(padding=(0, 2))
    for label, score in scores:
        table.add_row("", strip_control(label), Text("█" * round(score * _BAR_CELLS), "cyan"), f"{score:.1%}")
    _out.print(table)


def print_text(text: str) -> None:
    """Print a model's words, without what a terminal would obey."""
    _out.print(Text(strip_control(text)))


def print_note(text: str) -> None:
    """Print what the person should know about a result."""
    _out.print(Text(f"  {text}", "yellow"))


def print_path(path: str, comment: str = "") -> None:
    """Print the name of a written file, and something about it."""
    _out.print(f"  {path}  ", Text(comment, "dim"))


def write_file(folder: Path, stem: str, suffix: str, data: bytes) -> str:
    """Write a file under a new name, never over another one; return its path."""
    number = 1
    while True:
        path = folder / (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            number += 1
        else:
            return str(path)
