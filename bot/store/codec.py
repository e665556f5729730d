"""Turn requests, results and errors into bytes for the store, and back."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter

from bot import errors
from bot.tasks.base import Request, Result


def _adapter(kind: type[Request | Result]) -> TypeAdapter[Any]:
    return _cached_adapter(cast("Any", kind))


@cache
def _cached_adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def dump(value: Request | Result) -> bytes:
    """Return a request or result as JSON, bytes inside it in base64."""
    return _adapter(type(value)).dump_json(value)


def is_quick(value: Request | Result) -> bool:
    """Say whether `dump` takes no time to speak of: pictures do."""
    return not _has_bytes(value)


def _has_bytes(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_bytes, value))
    if is_dataclass(value):
        return any(_has_bytes(getattr(value, field.name)) for field in fields(value))
    return isinstance(value, bytes)


def load_request(kind: type[Request], data: bytes) -> Request:
    """Read a request back; raise ValueError when it isn't of this kind."""
    return cast("Request", _adapter(kind).validate_json(data))


def load_result(kind: type[Result], data: bytes) -> Result:
    """Read a result back; raise ValueError when it isn't of this kind."""
    return cast("Result", _adapter(kind).validate_json(data))


def dump_error(error: Exception) -> str:
    """Return an error as JSON: a sentence for people whole, of any other only that there was one."""
    if not isinstance(error, errors.UserError):
        return json.dumps({"kind": "", "template": str(error)})
    return json.dumps({"kind": type(error).__name__, "template": error.template, "values": error.values}, default=str)


def load_error(text: str) -> Exception:
    """Read an error back."""
    data = json.loads(text)
    kind = getattr(errors, data["kind"], None) if data["kind"] else None
    if kind is None:
        return RuntimeError(data["template"])
    return cast("Exception", kind(data["template"], **data["values"]))
