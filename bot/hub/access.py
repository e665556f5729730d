"""Say why a model isn't there: one sentence for members; for the host what it is, and the two steps to mend it."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from bot.errors import ModelUnavailable, one_line
from bot.hub.client import hub_token, wait_asked_s
from bot.hub.reference import ModelReference
from bot.i18n.durations import format_duration

NO_SAFETENSORS = (
    "It has no weights in safetensors form. Other forms can run code, so they are never loaded. "
    "1. Look for a revision or another repository that has them. 2. Write that into the configuration."
)
_LATER = "This model isn't available on this server yet. Try again in {wait}."
_TOKEN = "give hubcord a token of an account that may: set HF_TOKEN, or run `hf auth login`"  # noqa: S105
_DISK_FULL = "The disk is full. 1. Free some space, for example by `hubcord models remove`. 2. Try again."
_NO_HUB = (
    "What answers at {endpoint} isn't a Hub ({error}). 1. Check HF_ENDPOINT, and whether a proxy or a login page of "
    "this network answers instead. 2. Try again."
)
_PROXY = (
    "The proxy lets nothing through ({error}). 1. Check HTTPS_PROXY and ALL_PROXY: a proxy that wants to know who asks "
    "is http://NAME:PASSWORD@HOST:PORT . 2. Try again."
)
_NOT_WRITABLE = (
    "The cache can't be written ({error}). 1. Let hubcord's account write there, or set HF_HOME to a folder where it "
    "may. 2. Start again."
)
_OFFLINE = "OfflineModeIsEnabled"
_HINTS = {
    "GatedRepoError": f"Its licence must be accepted first. 1. Accept it at {{page}} . 2. Then {_TOKEN}.",
    "RepositoryNotFoundError": f"There is no such repository, or it is private. 1. Check the name at {{page}} . "
    f"2. If it is private, {_TOKEN}.",
    "RevisionNotFoundError": "It has no revision {revision}. 1. Find one at {page}/commits/main . "
    "2. Write hf:{name}@COMMIT into the configuration.",
    "DisabledRepoError": "The Hub has disabled it. 1. Read why at {page} . 2. Choose another model.",
    _OFFLINE: "It isn't in the cache, and HF_HUB_OFFLINE forbids fetching it. 1. Unset HF_HUB_OFFLINE, or "
    "TRANSFORMERS_OFFLINE, which means the same. 2. Start again.",
    "CachedRepoTreeNotFoundError": "The Hub can't be asked which files it has. 1. Check this machine's network, or set "
    "HF_HUB_OFFLINE to 1 to take those that are in the cache. 2. Try again.",
    "ImportError": "The proxy that the environment names can't be used ({error}). 1. Unset ALL_PROXY, or for a SOCKS "
    "proxy install the package socksio. 2. Start again.",
    "UnicodeEncodeError": "HF_TOKEN has characters that no token has. 1. Set it anew. 2. Start again.",
    "DamagedFile": "{error} 1. Try again: what isn't right will be fetched anew. 2. If that doesn't help, don't "
    "trust the mirror that HF_ENDPOINT names.",
    "401": f"The Hub refused the token. 1. Make a new one at {{endpoint}}/settings/tokens . 2. Then {_TOKEN}.",
    "403": f"The token may not read it. 1. Look at its permissions at {{endpoint}}/settings/tokens . 2. Else {_TOKEN}.",
    "429": "The Hub wants fewer requests for now. 1. Wait{wait}. 2. If that happens often, set HF_TOKEN: accounts may "
    "ask more often.",
    "NotAHubError": _NO_HUB,
    "FileMetadataError": _NO_HUB,
    "TooManyRedirects": _NO_HUB,
    "407": _PROXY,
    "ProxyError": _PROXY,
    "451": "The Hub may not give it away here for legal reasons. 1. Read why at {page} . 2. Choose another model.",
    "4xx": "The Hub refuses it ({error}). 1. Look at {page} , and whether HF_ENDPOINT names a Hub. 2. Try again later.",
    "5xx": "The Hub has trouble itself ({error}). 1. Look at https://status.huggingface.co . 2. Try again later.",
    "RemoteProtocolError": "The connection to {endpoint} broke off again and again. 1. Check this machine's network. "
    "2. Try again: it goes on from there.",
    "TransportError": "The Hub at {endpoint} can't be reached ({error}). 1. Check this machine's network, and "
    "HTTPS_PROXY and HF_ENDPOINT if they are set. 2. Try again.",
    "EACCES": _NOT_WRITABLE,
    "ENOENT": _NOT_WRITABLE,
    "EPERM": _NOT_WRITABLE,
    "EROFS": _NOT_WRITABLE,
    "ENOTDIR": _NOT_WRITABLE,
    "EDQUOT": _DISK_FULL,
    "ENOSPC": _DISK_FULL,
}


def model_unavailable(reference: ModelReference, hint: str, **values: Any) -> ModelUnavailable:
    """Return what members read of a model that can't be used, with a `hint` for the host.

    `reason` among the values stays the same as long as the reason does, whatever the hint tells of this time.
    """
    sentence = _LATER if "retry_after_s" in values else "This model isn't available on this server yet."
    hint = without_token(hint)
    told = {"reference": reference.text, "hint": f"{reference.text}: {hint}", "reason": hint}
    return ModelUnavailable(sentence, **told | values)


def from_hub_error(reference: ModelReference, error: BaseException) -> ModelUnavailable:
    """Explain an error of huggingface_hub; `retry_after_s` among the values says when the Hub takes requests again."""
    cause, reason = _known(error)
    endpoint = shown_endpoint()
    wait_s = wait_asked_s(getattr(cause, "response", None))
    gaps = {
        "page": f"{endpoint}/{reference.name}", "endpoint": endpoint, "name": reference.name, "error": one_line(cause),
        "revision": reference.revision, "wait": f" {format_duration(wait_s)}" if wait_s else "",
    }  # fmt: skip
    hint = _HINTS.get(reason, "{error}").format(**gaps)
    return model_unavailable(reference, hint, reason=reason, **(until(wait_s) if wait_s else {}))


def check_online(reference: ModelReference) -> None:
    """Raise ModelUnavailable where the host forbids to fetch anything: of torch's models too, which isn't the Hub's."""
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        raise model_unavailable(reference, _HINTS[_OFFLINE], reason=_OFFLINE)


@contextlib.contextmanager
def translate_hub_errors(reference: ModelReference) -> Iterator[None]:
    """Use huggingface_hub inside; raise ModelUnavailable where it raises something else."""
    import httpx2
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        yield
    except (httpx2.HTTPError, OSError, ValueError, ImportError, CachedRepoTreeNotFoundError) as error:
        raise from_hub_error(reference, error) from error


def shown_endpoint() -> str:
    """Return the Hub's address without the name and password that HF_ENDPOINT may have."""
    from huggingface_hub.constants import ENDPOINT

    return ENDPOINT.replace(_login(ENDPOINT), "")


def until(wait_s: float) -> dict[str, Any]:
    """Return the values of an error that say when to try again."""
    return {"retry_after_s": wait_s, "wait": format_duration(wait_s)}


def without_token(text: str) -> str:
    """Return a text in which neither the token, should a library have put it there, nor HF_ENDPOINT's login is."""
    from huggingface_hub.constants import ENDPOINT

    token = hub_token()
    text = text.replace(token, "(token)") if token else text
    return text.replace(_login(ENDPOINT), "")


def _login(url: str) -> str:
    """Return `NAME:PASSWORD@` of an address; nothing for one without."""
    login, at, _ = urlsplit(url).netloc.rpartition("@")
    return login + at


def _known(error: BaseException) -> tuple[BaseException, str]:
    """Return the cause that tells most, and what it is known by: huggingface_hub wraps some in others that say less."""
    for cause in _causes(error):
        for key in _keys(cause):
            if key in _HINTS:
                return cause, key
    return error, type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _keys(error: BaseException) -> Iterator[str]:
    """Yield what an error is known by: its classes, the status that the Hub answered with, the system's own name."""
    yield from (kind.__name__ for kind in type(error).__mro__)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        yield from (str(status), f"{status // 100}xx")
    yield errno.errorcode.get(getattr(error, "errno", None) or 0, "")
