"""Print results: one JSON object a job, or something pleasant to look at."""

from __future__ import annotations

import json as jsonlib
import re
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.cli.console import strip_control
from bot.engine.job import Job
from bot.i18n.texts import gettext as _
from bot.tasks.classify.task import ClassifyResult
from bot.tasks.describe.task import DescribeResult
from bot.tasks.detect.task import DetectResult
from bot.tasks.imagine.task import ImagineResult
from bot.tasks.sentiment.task import SentimentResult
from bot.tasks.translate.languages import language_name
from bot.tasks.translate.task import TranslateResult

_BAR_CELLS = 24
_SLUG_CHARS = 40
_out = Console(highlight=False, markup=False)


def sentiment(result: SentimentResult, job: Job, *, json: bool, name: str) -> None:
    """Print the label of a text and all scores."""
    if json:
        _json(job, label=result.label, score=result.score, scores=result.scores, model=result.model)
        return
    _heading(getattr(job.request, "text", name), result.model)
    _bars(result.scores.items())


def classify(result: ClassifyResult, job: Job, *, json: bool, name: str) -> None:
    """Print the labels of a picture."""
    labels = [(label.label, label.score) for label in result.labels]
    if json:
        shown = [{"label": label, "score": score} for label, score in labels]
        _json(job, file=name, labels=shown, model=result.model, width=result.width, height=result.height)
        return
    _heading(name, result.model)
    _bars(labels)


def detect(result: DetectResult, job: Job, *, json: bool, name: str, out: Path | None) -> None:
    """Print what is in a picture; write a copy with the boxes if there is a folder for it."""
    drawn = None
    if out is not None and result.drawn:
        drawn = str(_write(out, f"{Path(name).stem}-found", ".jpg", result.drawn))
    if json:
        boxes = [
            {"label": b.label, "score": b.score, "box": [round(side, 1) for side in (b.left, b.top, b.right, b.bottom)]}
            for b in result.boxes
        ]
        _json(
            job, file=name, boxes=boxes, found=result.found, drawn=drawn, model=result.model,
            width=result.width, height=result.height,
        )  # fmt: skip
        return
    _heading(name, result.model)
    if result.boxes:
        _bars((box.label, box.score) for box in result.boxes)
    else:
        _out.print(Text(_("  Nothing found. A lower --confidence may find more."), "yellow"))
    if drawn:
        _out.print(Text(f"  {drawn}", "dim"))


def describe(result: DescribeResult, job: Job, *, json: bool, name: str) -> None:
    """Print what a picture shows."""
    if json:
        _json(job, file=name, text=result.text, model=result.model)
        return
    _heading(name, result.model)
    _out.print(Text(strip_control(result.text)))


def imagine(result: ImagineResult, job: Job, *, json: bool, name: str, out: Path) -> None:  # noqa: ARG001
    """Write the pictures to files and print their names."""
    slug = re.sub(r"\W+", "-", result.prompt.lower()).strip("-")[:_SLUG_CHARS] or "picture"
    files = [str(_write(out, f"{slug}-{picture.seed}", ".png", picture.png)) for picture in result.pictures]
    if json:
        _json(
            job, files=files, seed=result.pictures[0].seed, seeds=[p.seed for p in result.pictures],
            prompt=result.prompt, negative=result.negative, model=result.model, steps=result.steps,
            guidance=result.guidance, scheduler=result.scheduler, loras=list(map(str, result.loras)),
            width=result.width, height=result.height, note=result.note, captions=[p.caption for p in result.pictures],
        )  # fmt: skip
        return
    _heading(result.prompt, result.model)
    for file, picture in zip(files, result.pictures, strict=True):
        _out.print(f"  {file}  ", Text(_("seed {seed}", seed=picture.seed), "dim"))
        if picture.caption:
            _out.print(Text(f"    {strip_control(picture.caption)}"))
    if result.note:
        _out.print(Text(f"  {result.note}", "yellow"))


def translate(result: TranslateResult, job: Job, *, json: bool, name: str) -> None:  # noqa: ARG001
    """Print a translation."""
    if json:
        shown = {"text": result.text, "from": result.source, "to": result.to, "through": result.through}
        _json(job, **shown, model=result.model)
        return
    way = f"{language_name(result.source)} → {language_name(result.to)}"
    if result.through:
        way = _("{way} (through {through})", way=way, through=language_name(result.through))
    _heading(way, result.model)
    _out.print(Text(strip_control(result.text)))


def _json(job: Job, **fields: Any) -> None:
    print(jsonlib.dumps({**fields, "seconds": round(job.seconds, 4)}, ensure_ascii=False), flush=True)  # noqa: T201


def _heading(text: str, model: str) -> None:
    line = " ".join(strip_control(text).split())
    _out.print(Text(line if len(line) <= 200 else line[:199] + "…", "bold"), Text(model, "dim"))


def _bars(pairs: Any) -> None:
    table = Table.grid(padding=(0, 2))
    for label, score in pairs:
        table.add_row("", label, Text("█" * round(score * _BAR_CELLS), "cyan"), f"{score:.1%}")
    _out.print(table)


def _write(folder: Path, stem: str, suffix: str, data: bytes) -> Path:
    """Write a picture under a name; never over another file."""
    number = 1
    while True:
        path = folder / (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            number += 1
        else:
            return path
