"""Ask the Hub without sleeping for as long as it says: who waits for a model is told instead."""

from __future__ import annotations

import threading
import time
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi

_setting = threading.Lock()
_PATIENCE_S = 20.0
"""What huggingface_hub may sleep through before it asks again."""


class HubAsksToWait(OSError):
    """The Hub wants no more requests for longer than we wait; `response` is where it said so."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__("the Hub asks to wait")
        self.response = response


def hub_api() -> HfApi:
    """Return what asks the Hub."""
    from huggingface_hub import HfApi

    never_sleep_long()
    return HfApi()


def never_sleep_long() -> None:
    """Let huggingface_hub raise HubAsksToWait where it would sleep in silence, for hours perhaps.

    To be called before each use: the first call replaces the client that all threads share.
    """
    with _setting:
        _set_client()


@lru_cache(maxsize=1)
def _set_client() -> None:
    import httpx2
    from huggingface_hub import get_session, set_client_factory

    hooks = get_session().event_hooks

    def make_client() -> httpx2.Client:
        return httpx2.Client(
            event_hooks={**hooks, "response": [*hooks["response"], _refuse_to_wait]},
            follow_redirects=True,
            timeout=None,
        )

    set_client_factory(make_client)


def wait_asked_s(response: Any) -> float | None:
    """Return how long a response asks to wait, by `RateLimit` as the Hub does, or by `Retry-After`."""
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

    headers = getattr(response, "headers", {})
    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    return _seconds(headers.get("Retry-After", "").strip())


def _refuse_to_wait(response: httpx2.Response) -> None:
    if response.is_error and (wait_asked_s(response) or 0.0) > _PATIENCE_S:
        raise HubAsksToWait(response)


def _seconds(text: str) -> float | None:
    """Read the two forms of Retry-After: seconds, and a date."""
    if text.isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
