"""Define the command line: the commands of the tasks, of the host, and of the models."""

from __future__ import annotations

import typer

from bot.cli import host, models
from bot.tasks.registry import TASKS

app = typer.Typer(
    name="hubcord",
    help="A Discord bot that brings the model hubs into a community, and its tasks on the command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for task in TASKS.values():
    app.command(task.name)(task.load_console())
app.add_typer(host.app)
app.add_typer(models.app)
