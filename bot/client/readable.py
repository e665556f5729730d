"""Know answers that aren't Discord's: something in between sends a page, or half of an object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UnreadableError(OSError):
    """Tell that nobody knows whether Discord did what it was asked for."""


@contextmanager
def readable() -> Iterator[None]:
    """Turn what discord.py raises when it can't read an answer into trouble on the way, which may pass."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableError(f"the answer can't be read: {error!r}") from error
