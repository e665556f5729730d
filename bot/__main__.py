"""Run hubcord's command line: `python -m bot` and `hubcord`."""

from __future__ import annotations

import sys


def main() -> None:
    """Read the command line and do what it says."""
    try:
        from bot.cli.app import run

        sys.exit(run())
    except KeyboardInterrupt:  # Ctrl-C while the imports go on
        sys.exit(130)


if __name__ == "__main__":
    main()
