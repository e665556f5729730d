"""Add `hubcord imagine`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.print_result import print_heading, print_json, print_note, print_path, print_text, write_file
from bot.cli.session import Session
from bot.cli.task_command import Config, Json, Model, attempt, chosen_model, lines_of, make_folder
from bot.engine.job import Job
from bot.i18n.texts import gettext as _
from bot.tasks.imagine.task import IMAGINE, MAX_SEED, ImagineResult

_SLUG_CHARS = 40


def imagine(
    prompt: Annotated[str, typer.Argument(help="What to show; a single - reads lines from standard input.")],
    negative: Annotated[str, typer.Option(help="What the picture should not show.")] = "",
    seed: Annotated[int | None, typer.Option(min=0, max=MAX_SEED, help="The same seed gives the same picture.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Denoising steps.")] = None,
    guidance: Annotated[float | None, typer.Option(min=0, max=50, help="How closely to follow the prompt.")] = None,
    size: Annotated[str | None, typer.Option(help="Width and height in pixels, like 512x768.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="How the steps are taken, like Euler or DPM++ 2M.")] = None,
    lora: Annotated[list[str] | None, typer.Option(help="Adapter: NAME or NAME:WEIGHT; may be said again.")] = None,
    count: Annotated[int, typer.Option(min=1, max=10, help="How many pictures; picture k has seed + k.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path(),
    model: Model = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make pictures from a prompt."""
    with Session.open(config, json=json) as session:
        settings = session.settings.of(IMAGINE)
        options: dict[str, Any] = {
            "model": chosen_model(model, settings),
            "negative": negative, "steps": steps, "guidance": guidance, "count": count, "size": size,
            "scheduler": scheduler, "lora": lora or (), "seed": seed,
        }  # fmt: skip
        settings.check_fit(settings.request("-", **options))
        make_folder(out)
        requests = (attempt(settings.request, text, **options) for text in lines_of([prompt]))
        session.run(IMAGINE.name, requests, _show, out=out)


def _show(result: ImagineResult, job: Job, *, json: bool, name: str, out: Path) -> None:  # noqa: ARG001
    """Write the pictures to files and print their names."""
    slug = re.sub(r"\W+", "-", result.prompt.lower()).strip("-")[:_SLUG_CHARS] or "picture"
    files = [write_file(out, f"{slug}-{picture.seed}", ".png", picture.png) for picture in result.pictures]
    if json:
        print_json(
            job, files=files, seed=result.pictures[0].seed, seeds=[p.seed for p in result.pictures],
            prompt=result.prompt, negative=result.negative, model=result.model, steps=result.steps,
            guidance=result.guidance, scheduler=result.scheduler, loras=list(map(str, result.loras)),
            width=result.width, height=result.height, note=result.note, captions=[p.caption for p in result.pictures],
        )  # fmt: skip
        return
    print_heading(result.prompt, result.model)
    for file, picture in zip(files, result.pictures, strict=True):
        print_path(file, _("seed {seed}", seed=picture.seed))
        if picture.caption:
            print_text(f"    {picture.caption}")
    if result.note:
        print_note(result.note)
