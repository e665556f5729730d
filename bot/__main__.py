"""Run hubcord's command line: `python -m bot` and `hubcord`."""

from __future__ import annotations

import sys
from importlib import import_module


def main() -> None:
    """Read the command line and do what it says."""
    # The bot stays, so it does without the other commands, which take 6 MB more.
    module = "bot.cli.host" if sys.argv[1:2] == ["run"] else "bot.cli.app"
    try:
        from bot.cli.console import run

        sys.exit(run(import_module(module).app))
    except KeyboardInterrupt:  # Ctrl-C while the imports go on
        sys.exit(130)


if __name__ == "__main__":
    main()
