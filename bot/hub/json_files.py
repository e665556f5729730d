"""Read small JSON files that strangers wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_MOST_BYTES = 20_000_000


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file; empty when there is no file. Raise ValueError when it holds none."""
    if not path.is_file():
        return {}
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"its {path.name} is too large")
    return parse_object(path.read_bytes(), path.name)


def parse_object(content: bytes, name: str) -> dict[str, Any]:
    """Return the object in a JSON text; raise ValueError, with the `name` of its file, when it holds none."""
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError(f"its {name} is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"its {name} holds no JSON object")  # noqa: TRY004 - the file is wrong, not the caller
    return value
