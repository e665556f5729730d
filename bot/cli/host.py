"""Add the commands of the person who hosts the bot: run, demo, sync, doctor, prepare."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.session import complain
from bot.errors import UserError

app = typer.Typer()


@app.command()
def prepare(
    names: Annotated[list[str] | None, typer.Argument(help="Bundled models; all when left out.")] = None,
) -> None:
    """Make the bundled models ready in the user's cache. Quick when they are."""
    from bot.bundled.prepare import prepare as prepare_models

    try:
        prepare_models(names, report=lambda text: typer.echo(text, err=True))
    except UserError as error:
        complain(str(error))
        raise typer.Exit(1) from None
