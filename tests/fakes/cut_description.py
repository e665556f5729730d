"""Cut out of Discord's OpenAPI description what the tests need: `python -m tests.fakes.cut_description FILE`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fakes.description import PATH

ROUTES = {
    "/applications/{application_id}/commands": {"put"},
    "/applications/{application_id}/guilds/{guild_id}/commands": {"put"},
    "/channels/{channel_id}/messages": {"post"},
    "/channels/{channel_id}/messages/{message_id}": {"delete", "patch"},
    "/interactions/{interaction_id}/{interaction_token}/callback": {"post"},
    "/oauth2/applications/@me": {"get"},
    "/users/@me/channels": {"post"},
    "/webhooks/{webhook_id}/{webhook_token}": {"post"},
    "/webhooks/{webhook_id}/{webhook_token}/messages/@original": {"delete", "get", "patch"},
}
_JSON = "application/json"


def cut(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bodies of our routes, and the schemas that they refer to."""
    paths = {path: {m: _body(document["paths"][path][m]) for m in sorted(ROUTES[path])} for path in ROUTES}
    schemas: dict[str, Any] = {}
    _add_schemas(paths, document["components"]["schemas"], schemas)
    return {
        "info": document["info"],
        "paths": paths,
        "components": {"schemas": {name: _without_words(schemas[name]) for name in sorted(schemas)}},
    }


def _body(operation: Mapping[str, Any]) -> dict[str, Any]:
    if (body := operation.get("requestBody")) is None:
        return {}
    content = {_JSON: {"schema": _without_words(body["content"][_JSON]["schema"])}}
    return {"requestBody": {"required": body.get("required", False), "content": content}}


def _add_schemas(value: Any, known: Mapping[str, Any], found: dict[str, Any]) -> None:
    """Add every schema that a value refers to, and those that they refer to."""
    if isinstance(value, list):
        for item in value:
            _add_schemas(item, known, found)
    elif isinstance(value, dict):
        name = str(value.get("$ref", "")).rpartition("/")[2]
        if name and name not in found:
            found[name] = known[name]
            _add_schemas(known[name], known, found)
        _add_schemas(list(value.values()), known, found)


def _without_words(value: Any) -> Any:
    """Return a schema without titles, descriptions and Discord's own keys; a property may have such a name."""
    if isinstance(value, list):
        return [_without_words(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {k: v for k, v in value.items() if k not in {"title", "description"} and not k.startswith("x-")}
    properties = {name: _without_words(schema) for name, schema in kept.pop("properties", {}).items()}
    return {k: _without_words(v) for k, v in kept.items()} | ({"properties": properties} if properties else {})


if __name__ == "__main__":
    PATH.write_text(json.dumps(cut(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), indent=1) + "\n")
