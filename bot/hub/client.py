"""Ask the Hub without sleeping for as long as it says, and notice when what answers is none."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bot.errors import one_line

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi

_setting = threading.Lock()
_PATIENCE_S = 20.0
"""What huggingface_hub may sleep through before it asks again."""
_LONGEST_WAIT_S = 3_600.0
"""What is believed of how long to wait."""
_ODD_ANSWERS = (AssertionError, AttributeError, LookupError, TypeError, json.JSONDecodeError)
"""What huggingface_hub raises when it doesn't understand what a server answers."""


class HubAsksToWait(OSError):
    """The Hub wants no more requests for longer than we wait; `response` is where it said so."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__("the Hub asks to wait")
        self.response = response


class NotAHubError(ValueError):
    """What answered says nothing that a Hub says."""


@contextlib.contextmanager
def as_not_a_hub() -> Iterator[None]:
    """Ask the Hub inside; raise NotAHub when its answer makes no sense."""
    try:
        yield
    except _ODD_ANSWERS as error:
        raise NotAHubError(one_line(error)) from error


def hub_token() -> str | None:
    """Return the token that the Hub gets, if there is one and it can be read."""
    from huggingface_hub import get_token

    with contextlib.suppress(OSError, ValueError):  # HF_HOME can't be read, or holds something else
        return get_token()
    return None


def hub_api() -> HfApi:
    """Return what asks the Hub. Its library is quiet: errors say what there is to say."""
    from huggingface_hub import HfApi

    cap_retry_after()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return HfApi()


def cap_retry_after() -> None:
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
    """Return how long a response asks to wait, by `RateLimit` as the Hub does, or by `Retry-After`; an hour at most."""
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

    headers = getattr(response, "headers", {})
    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        wait_s: float | None = limit.reset_in_seconds
    else:
        wait_s = _seconds(headers.get("Retry-After", "").strip())
    return None if wait_s is None else min(float(wait_s), _LONGEST_WAIT_S)


def _refuse_to_wait(response: httpx2.Response) -> None:
    if response.is_error and (wait_asked_s(response) or 0.0) > _PATIENCE_S:
        raise HubAsksToWait(response)


def _seconds(text: str) -> float | None:
    """Read the two forms of Retry-After: seconds, and a date."""
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
