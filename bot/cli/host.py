"""Add the commands of the person who hosts the bot: run, sync, doctor, health, demo, prepare."""

from __future__ import annotations

import asyncio
import json as jsonlib
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from bot.cli.console import complain, exit_code, strip_control
from bot.doctor.check import Check
from bot.errors import UserError
from bot.i18n.texts import gettext as _

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
Config = Annotated[Path | None, typer.Option(help="Configuration file; without it config.toml, if there is one.")]
_MARKS = {"ok": ("✓", typer.colors.GREEN), "warning": ("!", typer.colors.YELLOW), "error": ("✗", typer.colors.RED)}


@app.command()
def run(config: Config = None) -> None:
    """Connect to Discord with DISCORD_TOKEN and serve until stopped."""
    from bot.app import serve

    _do(serve(config))


@app.command()
def sync(config: Config = None) -> None:
    """Register the slash commands with Discord, changed or not."""
    from bot.app import sync as sync_commands

    _do(sync_commands(config))
    typer.echo("The commands are registered.")


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes any free one.")] = 8765,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Try the bot in the browser, on a simulated Discord with the bundled models."""
    from bot.demo.serve import run_demo

    try:
        code = run_demo(port=port, open_browser=open_browser)
    except UserError as error:
        _give_up(error)
    raise typer.Exit(code)


@app.command()
def doctor(config: Config = None, json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Check that `hubcord run` would work, and say what to do where it wouldn't."""
    from bot.doctor.examine import examine

    async def look() -> list[Check]:
        checks = []
        async for check in examine(config):
            checks.append(check)
            if not json:
                typer.echo(_line(check))
        return checks

    checks = asyncio.run(look())
    works = all(check.state != "error" for check in checks)
    if json:
        typer.echo(jsonlib.dumps({"ok": works, "checks": [asdict(check) for check in checks]}, ensure_ascii=False))
    raise typer.Exit(0 if works else 1)


def _line(check: Check) -> str:
    mark, colour = _MARKS[check.state]
    advice = f"\n  → {check.advice}" if check.advice else ""
    return f"{typer.style(mark, fg=colour)} {strip_control(f'{check.name}: {check.text}{advice}')}"


@app.command()
def health(config: Config = None) -> None:
    """Exit with 0 while a bot with this configuration is connected (for the container's health check)."""
    from bot.config import load_settings
    from bot.store.heartbeat import is_connected
    from bot.wiring import make_store

    async def look() -> bool:
        store = make_store(load_settings(config))
        try:
            return await is_connected(store)
        finally:
            await store.close()

    try:
        connected = asyncio.run(look())
    except UserError as error:
        _give_up(error)
    if not connected:
        complain(_("No bot with this configuration is connected."))
        raise typer.Exit(1)


@app.command()
def prepare(
    names: Annotated[list[str] | None, typer.Argument(help="Bundled models; all when left out.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing of models that are ready.")] = False,
) -> None:
    """Make the bundled models ready in the user's cache. Quick when they are."""
    from bot.bundled.prepare import prepare as prepare_models

    def report(text: str) -> None:
        if not (quiet and text.endswith("ready")):
            typer.echo(text, err=True)

    try:
        prepare_models(names or None, report=report)
    except UserError as error:
        _give_up(error)


def _do(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except UserError as error:
        _give_up(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _give_up(error: UserError) -> NoReturn:
    complain(str(error))
    raise typer.Exit(exit_code(error)) from None
