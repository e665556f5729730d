"""Look at the Hub's token."""

from __future__ import annotations

from bot.doctor.check import Check, in_thread
from bot.inference.hub_client import hub_api

_NAME = "HF token"
_ANEW = "Make a new one at {endpoint}/settings/tokens and set HF_TOKEN, or run `hf auth login`."


async def check_hub_token(*, needed: bool) -> Check:
    """Ask the Hub whose token it is; without any, public models can be had. It isn't asked when none is `needed`."""
    from huggingface_hub import get_token, is_offline_mode

    if get_token() is None:
        return Check(_NAME, "ok", "none; public models need none")
    if is_offline_mode() or not needed:
        return Check(_NAME, "ok", "set; not tried: " + ("HF_HUB_OFFLINE is on" if needed else "no model needs it"))
    try:
        return await in_thread(_ask)
    except TimeoutError:
        return _away("it doesn't answer")


def _ask() -> Check:
    import httpx2
    from huggingface_hub.constants import ENDPOINT
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Check(_NAME, "ok", f"of {hub_api().whoami()['name']}")
    except HfHubHTTPError as error:
        if error.response.status_code not in (401, 403):
            return _away(f"it answers {error.response.status_code}")
        return Check(_NAME, "warning", "The Hub refuses it.", _ANEW.format(endpoint=ENDPOINT))
    except (httpx2.HTTPError, OSError, ValueError) as error:
        return _away(type(error).__name__)


def _away(why: str) -> Check:
    from huggingface_hub.constants import ENDPOINT

    text = f"The Hub at {ENDPOINT} can't be asked ({why})."
    return Check(_NAME, "warning", text, "Check this machine's network, and HF_ENDPOINT if it is set.")
