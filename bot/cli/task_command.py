"""Share what the tasks' commands on the command line have in common: their options, and how requests are built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from bot.cli.session import stdin_lines
from bot.errors import BadInput
from bot.tasks.picture import PictureRequest, PictureSettings
from bot.tasks.settings import ModelSettings

Built = TypeVar("Built")

Model = Annotated[str | None, typer.Option(help="Model reference: path:…, bundled:…, torchvision:… or hf:…")]
Config = Annotated[Path | None, typer.Option(help="Configuration file; without it config.toml, if there is one.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a job.")]
Pictures = Annotated[list[Path], typer.Argument(help="Picture files.")]
Texts = Annotated[list[str], typer.Argument(help="Texts; a single - reads lines from standard input, each a job.")]


def chosen_model(model: str | None, settings: ModelSettings) -> str:
    """Return the named model, whether it is configured or not; without a name, the default."""
    return settings.choose(None) if model is None else model


def lines_of(texts: list[str]) -> Iterable[str]:
    """Return the texts, or the lines of standard input for a single "-"."""
    return stdin_lines() if texts == ["-"] else texts


def attempt(build: Callable[..., Built], *args: Any, **options: Any) -> Built | BadInput:
    """Return what `build` makes, or the BadInput that it raises: one bad job doesn't stop the others."""
    try:
        return build(*args, **options)
    except BadInput as error:
        return error


def picture_requests(
    kind: type[PictureRequest], files: Iterable[Path], settings: PictureSettings, **options: Any
) -> Iterator[PictureRequest | BadInput]:
    """Yield one request for each file."""
    return (attempt(_read_picture, kind, path, settings, **options) for path in files)


def make_folder(path: Path) -> None:
    """Make a folder for results; raise BadInput when that can't be done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput("{path}: {why}.", path=path, why=error.strerror or error) from None


def _read_picture(kind: type[PictureRequest], path: Path, settings: PictureSettings, **options: Any) -> PictureRequest:
    try:
        settings.check_bytes(path.stat().st_size)
        return kind(image=path.read_bytes(), **options)
    except OSError as error:
        raise BadInput("{why}.", why=error.strerror or error) from None
