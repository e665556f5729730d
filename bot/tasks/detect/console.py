"""Add `hubcord detect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.print_result import print_bars, print_heading, print_json, print_note, print_path, write_file
from bot.cli.session import Session
from bot.cli.task_command import Config, Json, Model, Pictures, chosen_model, make_folder, picture_requests
from bot.engine.job import Job
from bot.i18n.texts import gettext as _
from bot.tasks.detect.task import DETECT, MAX_CONFIDENCE, DetectRequest, DetectResult


def detect(
    files: Pictures,
    confidence: Annotated[
        int | None, typer.Option(min=1, max=MAX_CONFIDENCE, help="How sure the model must be, in per cent.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for copies of the pictures with what was found.")] = None,
    model: Model = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Find and count what is in each picture."""
    with Session.open(config, json=json) as session:
        settings = session.settings.of(DETECT)
        reference = chosen_model(model, settings)
        if out is not None:
            make_folder(out)
        sure = confidence or settings.confidence
        requests = picture_requests(DetectRequest, files, settings, model=reference, confidence=sure)
        session.run(DETECT.name, requests, _show, names=[str(path) for path in files], out=out)


def _show(result: DetectResult, job: Job, *, json: bool, name: str, out: Path | None) -> None:
    """Print what is in a picture; write a copy with the boxes if there is a folder for it."""
    drawn = None
    if out is not None and result.drawn:
        drawn = write_file(out, f"{Path(name).stem}-found", ".jpg", result.drawn)
    if json:
        _print_json(result, job, name, drawn)
        return
    print_heading(name, result.model)
    if result.boxes:
        print_bars((box.label, box.score) for box in result.boxes)
    else:
        print_note(_("Nothing found. A lower --confidence may find more."))
    if drawn:
        print_path(drawn)


def _print_json(result: DetectResult, job: Job, name: str, drawn: str | None) -> None:
    boxes = [
        {"label": b.label, "score": b.score, "box": [round(side, 1) for side in (b.left, b.top, b.right, b.bottom)]}
        for b in result.boxes
    ]
    sizes = {"width": result.width, "height": result.height}
    print_json(job, file=name, boxes=boxes, found=result.found, drawn=drawn, model=result.model, **sizes)
