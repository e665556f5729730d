"""Hold what every command needs, without rich: the bot, which stays, doesn't carry that."""

from __future__ import annotations

from unicodedata import category

import typer

from bot.errors import BadInput, ConfigError, UserError

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def run(app: typer.Typer) -> int:
    """Do what the command line says and return the exit code; a mistake in it is one line."""
    try:
        return app(standalone_mode=False) or OK
    except typer.TyperException as error:
        typer.echo(strip_control(error.format_message()), err=True)
        return error.exit_code


def complain(text: str) -> None:
    """Print one line for a mistake on standard error."""
    typer.secho(strip_control(text), err=True, fg=typer.colors.RED)


def strip_control(text: str) -> str:
    """Return a text without control characters: a terminal would obey them."""
    return "".join(character for character in text if character in "\n\t" or category(character) != "Cc")


def explained(error: UserError) -> str:
    """Return what people read of an error, and the hint for who hosts the bot."""
    return " ".join([str(error), *([str(error.values["hint"])] if "hint" in error.values else [])])


def exit_code(error: Exception) -> int:
    """Return what the process exits with for an error: bad input and bad configuration are told apart."""
    return BAD_INPUT if isinstance(error, BadInput | ConfigError) else FAILED
