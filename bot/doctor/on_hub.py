"""Look at the Hub's token."""

from __future__ import annotations

from bot.doctor.check import Check, in_thread
from bot.errors import one_line
from bot.hub.access import shown_endpoint, without_token
from bot.hub.client import as_not_a_hub, hub_api

_NAME = "HF token"
_ANEW = "Make a new one at {endpoint}/settings/tokens and set HF_TOKEN, or run `hf auth login`."


async def check_hub_token(*, needed: bool) -> Check:
    """Ask the Hub whose token it is; without any, public models can be had. It isn't asked when none is `needed`."""
    from huggingface_hub import get_token, is_offline_mode

    try:
        token = get_token()
    except (OSError, ValueError) as error:
        advice = "Let hubcord's account read HF_HOME, or set it to another folder."
        return Check(_NAME, "error", f"It can't be read ({one_line(error)}).", advice)
    if token is None:
        return Check(_NAME, "ok", "none; public models need none")
    if is_offline_mode() or not needed:
        return Check(_NAME, "ok", "set; not tried: " + ("HF_HUB_OFFLINE is on" if needed else "no model needs it"))
    try:
        return await in_thread(_ask)
    except TimeoutError:
        return _away("it doesn't answer")


def _ask() -> Check:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    try:
        with as_not_a_hub():
            return Check(_NAME, "ok", f"of {hub_api().whoami()['name']}")
    except HfHubHTTPError as error:
        if error.response.status_code not in (401, 403):
            return _away(f"it answers {error.response.status_code}")
        return Check(_NAME, "warning", "The Hub refuses it.", _ANEW.format(endpoint=shown_endpoint()))
    except (httpx2.HTTPError, OSError, ValueError, ImportError) as error:
        return _away(without_token(one_line(error)))


def _away(why: str) -> Check:
    text = f"The Hub at {shown_endpoint()} can't be asked ({why})."
    return Check(
        _NAME, "warning", text, "Check this machine's network, and HTTPS_PROXY and HF_ENDPOINT if they are set."
    )
