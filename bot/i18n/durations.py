"""Say durations as people do."""

from __future__ import annotations

from bot.i18n.texts import translate

_MINUTE_S = 60
_HOUR_S = 3_600


def spoken(seconds: float) -> str:
    """Return a duration as words: `20 seconds`, `4 minutes`, `2 hours`."""
    if seconds < 1.5 * _MINUTE_S:
        return translate("{n} seconds", n=max(2, round(seconds)))
    if seconds < 1.5 * _HOUR_S:
        return translate("{n} minutes", n=max(2, round(seconds / _MINUTE_S)))
    return translate("{n} hours", n=max(2, round(seconds / _HOUR_S)))
