"""Say durations as people do."""

from __future__ import annotations

from bot.i18n.texts import gettext as _

_MINUTE_S = 60
_HOUR_S = 3_600


def format_duration(seconds: float) -> str:
    """Return a duration as words: `20 seconds`, `4 minutes`, `2 hours`."""
    if seconds < 1.5 * _MINUTE_S:
        return _("{n} seconds", n=max(2, round(seconds)))
    if seconds < 1.5 * _HOUR_S:
        return _("{n} minutes", n=max(2, round(seconds / _MINUTE_S)))
    return _("{n} hours", n=max(2, round(seconds / _HOUR_S)))
