"""Add `hubcord models`: what is configured and cached, and what the Hub offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bot.cli import show_models as show
from bot.cli.fetching import fetch_all
from bot.cli.pin import difference, pinned, rewrite
from bot.cli.session import Session
from bot.config import DEFAULT_FILE, Settings
from bot.errors import BadInput, ModelUnavailable
from bot.hub.file_size import format_size
from bot.hub.model_filter import ADAPTERS, ANYTHING, ModelFilter
from bot.hub.reference import ModelReference, parse_reference
from bot.i18n.texts import gettext as _
from bot.tasks.registry import TASKS, configured
from bot.tasks.settings import TaskSettings

app = typer.Typer(name="models", no_args_is_help=True, help="See, fetch, pin and remove models.")
Config = Annotated[Path | None, typer.Option(help="Configuration file; without it config.toml, if there is one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reference = Annotated[str, typer.Argument(metavar="REF", help="Model reference.")]


@app.command(name="list")
def list_models(config: Config = None, json: Json = False) -> None:
    """Show the configured models and adapters: here or not, size, memory, licence, and whether they fit here."""
    with Session.open(config, json=json) as session:
        device = session.settings.devices.devices()[0]
        entries = {task: list(_entries(task, settings)) for task, settings in session.settings.tasks.items()}
        if json:
            show.print_json([entry.as_json(device, task=task) for task, found in entries.items() for entry in found])
        else:
            show.print_list(entries, device)


@app.command()
def info(reference: Reference, config: Config = None, json: Json = False) -> None:
    """Show the card of a model, or of an adapter by its name, licence, size and memory, before it is fetched."""
    from bot.hub.cards import hub_card

    with Session.open(config, json=json) as session:
        device = session.settings.devices.devices()[0]
        adapters = (settings.adapters for settings in session.settings.tasks.values())
        reference = next((known[reference] for known in adapters if reference in known), reference)
        card = hub_card(reference, _accepts(session.settings, reference))
        if json:
            show.print_json(show.as_json(card, device))
        else:
            show.print_card(card, device)
        if card.trouble:
            raise typer.Exit(1)


@app.command()
def pull(
    references: Annotated[list[str] | None, typer.Argument(metavar="[REF]...", help="Model references.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All configured models.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Fetch models into the cache and check them. Safe to run twice at once."""
    with Session.open(config, json=json) as session:
        settings = session.settings
        named = [reference for _task, reference, _accepts in configured(settings.tasks)] if everything else []
        wanted = list(dict.fromkeys([*(references or []), *named]))
        if not wanted:
            raise BadInput("Name the models to fetch, or say --all for all that are configured.")
        fetch_all(session, {reference: _accepts(settings, reference) for reference in wanted})


@app.command()
def pin(
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
) -> None:
    """Write the newest commit of each hf: model into the configuration file, and show the difference.

    What can't be asked about, or has no safetensors there, stays as it is; so does a commit that isn't main's.
    """
    from bot.hub.cards import newest_commit

    def newest(reference: ModelReference) -> str | None:
        try:
            return newest_commit(reference)
        except ModelUnavailable as error:
            session.fail(reference.text, error)
            failed.append(reference.text)
            return None

    path = config or DEFAULT_FILE
    failed: list[str] = []
    with Session.open(path, json=False) as session:
        before = path.read_bytes().decode()
        after = pinned(before, newest)
        done = _("Nothing was changed.") if failed else _("Everything is pinned to its newest commit.")
        typer.echo(difference(before, after, str(path)) or done)
        if not dry_run and after != before:
            rewrite(path, after)


@app.command()
def remove(reference: Reference) -> None:
    """Remove a hf: model from the cache: one commit, or all when none is named."""
    from bot.hub.cache import remove as remove_cached

    with Session.open(None, json=False):
        parsed = parse_reference(reference)
        if parsed.scheme != "hf":
            raise BadInput("Only hf: models are in the Hub's cache.")
        freed = remove_cached(parsed)
        typer.echo(_("{size} freed.", size=format_size(freed)) if freed else _("It isn't in the cache."))


@app.command()
def du(config: Config = None, json: Json = False) -> None:
    """Show what the cached models take on the disk, and whether they are configured."""
    from bot.hub.cache import cached_models, free_bytes

    with Session.open(config, json=json) as session:
        known = {parse_reference(reference).name for _task, reference, _accepts in configured(session.settings.tasks)}
        models = cached_models()
        if json:
            show.print_json([{**asdict(model), "configured": model.name in known} for model in models])
            return
        rows = [
            (model.name, format_size(model.size_bytes), _("configured") if model.name in known else "")
            for model in models
        ]
        free = format_size(free_bytes())
        rows.append((_("All"), format_size(sum(model.size_bytes for model in models)), _("{free} free", free=free)))
        show.print_table((_("Model"), _("Size"), ""), rows)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="Words to look for.")],
    task: Annotated[str, typer.Option(help="The command that shall use the model, like sentiment.")],
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many to show.")] = 10,
    json: Json = False,
) -> None:
    """Search the Hub for models of a command, the most downloaded first."""
    from bot.hub.search import search as search_hub

    with Session.open(None, json=json):
        if task not in TASKS:
            raise BadInput("There is no command {task}. There are: {known}.", task=task, known=", ".join(TASKS))
        found = search_hub(query, TASKS[task].model_filter, limit=limit)
        if json:
            show.print_json([asdict(model) for model in found])
            return
        rows = [
            (model.reference, f"{model.downloads or 0:,}", model.licence, _("gated") if model.gated else "")
            for model in found
        ]
        show.print_table((_("Model"), _("Downloads"), _("Licence"), ""), rows)


def _entries(task: str, settings: TaskSettings) -> Iterator[show.Entry]:
    """Yield what is configured for a task: its models, the default first, then its adapters."""
    from bot.hub.cards import local_card

    for number, reference in enumerate(settings.references):
        yield show.Entry(card=local_card(reference, TASKS[task].model_filter), default=number == 0)
    for name, models in settings.models_of_adapters().items():
        yield show.Entry(card=local_card(settings.adapters[name], ADAPTERS), adapter=name, models=tuple(models))


def _accepts(settings: Settings, reference: str) -> ModelFilter:
    """Return what the command takes that a model is configured for; of a model that isn't, anything is taken."""
    return next(
        (model_filter for _task, known, model_filter in configured(settings.tasks) if known == reference), ANYTHING
    )
