"""Define the command line. Each task's command builds requests and hands them to `bot.cli.session`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli import host, models, show
from bot.cli.session import Session, stdin_lines
from bot.errors import BadInput
from bot.tasks.classify.task import CLASSIFY, MAX_TOP, ClassifyRequest, read_labels
from bot.tasks.describe.task import DESCRIBE, DescribeRequest
from bot.tasks.detect.task import DETECT, MAX_CONFIDENCE, DetectRequest
from bot.tasks.imagine.task import IMAGINE, MAX_SEED
from bot.tasks.picture import PictureRequest, PictureSettings
from bot.tasks.sentiment.task import SENTIMENT, SentimentRequest
from bot.tasks.settings import ModelSettings
from bot.tasks.translate.task import TRANSLATE, TranslateRequest

app = typer.Typer(
    name="hubcord",
    help="A Discord bot that brings the model hubs into a community, and its tasks on the command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Model = Annotated[str | None, typer.Option(help="Model reference: path:…, bundled:…, torchvision:… or hf:…")]
Config = Annotated[Path | None, typer.Option(help="Configuration file; without it config.toml, if there is one.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a job.")]
Pictures = Annotated[list[Path], typer.Argument(help="Picture files.")]
Texts = Annotated[list[str], typer.Argument(help="Texts; a single - reads lines from standard input, each a job.")]


@app.command()
def sentiment(texts: Texts, model: Model = None, config: Config = None, json: Json = False) -> None:
    """Tell the sentiment of each text."""
    with Session.open(config, json=json) as session:
        reference = _chosen(model, session.settings.of(SENTIMENT))
        requests = (_make(SentimentRequest, model=reference, text=text) for text in _lines(texts))
        session.run("sentiment", requests, show.sentiment)


@app.command()
def classify(
    files: Pictures,
    top: Annotated[int | None, typer.Option(min=1, max=MAX_TOP, help="How many labels to show.")] = None,
    labels: Annotated[str, typer.Option(help="Labels of your own to choose from: a cat, a dog.")] = "",
    model: Model = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Name what each picture shows."""
    with Session.open(config, json=json) as session:
        settings, own = session.settings.of(CLASSIFY), read_labels(labels)
        reference = settings.choose_for(own, None) if model is None else model
        options: dict[str, Any] = {"model": reference, "top": top or min(len(own), MAX_TOP) or 5, "labels": own}
        requests = (_make(_read_picture, ClassifyRequest, path, settings, **options) for path in files)
        session.run("classify", requests, show.classify, names=[str(path) for path in files])


@app.command()
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
        options = {"model": _chosen(model, settings), "confidence": confidence or settings.confidence}
        if out is not None:
            _make_folder(out)
        requests = (_make(_read_picture, DetectRequest, path, settings, **options) for path in files)
        session.run("detect", requests, show.detect, names=[str(path) for path in files], out=out)


@app.command()
def describe(files: Pictures, model: Model = None, config: Config = None, json: Json = False) -> None:
    """Say in words what each picture shows."""
    with Session.open(config, json=json) as session:
        settings = session.settings.of(DESCRIBE)
        reference = _chosen(model, settings)
        requests = (_make(_read_picture, DescribeRequest, path, settings, model=reference) for path in files)
        session.run("describe", requests, show.describe, names=[str(path) for path in files])


@app.command()
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
            "model": _chosen(model, settings),
            "negative": negative, "steps": steps, "guidance": guidance, "count": count, "size": size,
            "scheduler": scheduler, "lora": lora or (), "seed": seed,
        }  # fmt: skip
        settings.check_fit(settings.request("-", **options))
        _make_folder(out)
        requests = (_make(settings.request, text, **options) for text in _lines([prompt]))
        session.run("imagine", requests, show.imagine, out=out)


@app.command()
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
        requests = (_make(build, text, **options) for text in _lines(texts))
        session.run("translate", requests, show.translate)


def _chosen(model: str | None, settings: ModelSettings) -> str:
    """Return the model that was named, whatever it is, else the default."""
    return settings.choose(None) if model is None else model


def _lines(texts: list[str]) -> Iterable[str]:
    return stdin_lines() if texts == ["-"] else texts


def _make(build: Any, *args: Any, **options: Any) -> Any:
    """Return what `build` makes, or the BadInput that it raises: one bad job doesn't stop the others."""
    try:
        return build(*args, **options)
    except BadInput as error:
        return error


def _make_folder(path: Path) -> None:
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


app.add_typer(host.app)
app.add_typer(models.app)
