"""Run hubcord's command line: `python -m bot` and `hubcord`."""

from __future__ import annotations


def main() -> None:
    """Read the command line and do what it says."""
    from bot.cli.app import app

    app()


if __name__ == "__main__":
    main()
