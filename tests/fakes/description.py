"""Check requests against Discord's OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from simcord.types import HttpLogEntry

PATH = Path(__file__).parents[1] / "data" / "discord-openapi.json"


class Description:
    """Hold the OpenAPI description and know the schema of each route's body."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._components = document["components"]
        self._paths: Mapping[str, Any] = document["paths"]
        self._validators: dict[tuple[str, str], Draft202012Validator] = {}
        self._found: dict[str, str | None] = {}

    def problem(self, entry: HttpLogEntry) -> str | None:
        """Tell what the description finds wrong with a request, or None."""
        template = self._template(entry.path)
        operation = self._paths.get(template, {}).get(entry.method.lower())
        if operation is None:
            return f"{entry.method} {entry.path} is no route of Discord, or a new one: see tests/data/README.md"
        if entry.json is None:
            required = operation.get("requestBody", {}).get("required", False)
            return f"{entry.method} {template} needs a body" if required else None
        return self._body_problem(entry, template)

    def _body_problem(self, entry: HttpLogEntry, template: str) -> str | None:
        """Look at each body once: nearly every test registers the same commands."""
        key = json.dumps([entry.method, template, entry.json])
        if key not in self._found:
            validator = self._validator(template, entry.method.lower())
            error = best_match(validator.iter_errors(_as_described(entry.json)))
            where = f"{entry.method} {template}"
            self._found[key] = None if error is None else f"{where}: {error.json_path}: {error.message[:300]}"
        return self._found[key]

    def _template(self, path: str) -> str:
        """Return the path of the description that a request went to, the most literal if several fit."""
        parts = path.strip("/").split("/")
        fitting = [t for t in self._paths if _fits(t.strip("/").split("/"), parts)]
        return min(fitting, key=lambda template: template.count("{"), default="")

    def _validator(self, template: str, method: str) -> Draft202012Validator:
        key = (template, method)
        if key not in self._validators:
            schema = self._paths[template][method]["requestBody"]["content"]["application/json"]["schema"]
            self._validators[key] = Draft202012Validator({**schema, "components": self._components})
        return self._validators[key]


def _as_described(body: Any) -> Any:
    """Return a body with ids as strings where discord.py sends numbers.

    Discord takes both, and its reference ("Uploading Files") numbers attachments; only the description wants strings.
    """
    if not isinstance(body, Mapping):
        return body
    changed = dict(body)
    if "data" in body:
        changed["data"] = _as_described(body["data"])
    if "recipient_id" in body:
        changed["recipient_id"] = str(body["recipient_id"])
    if body.get("attachments"):
        changed["attachments"] = [{**file, "id": str(file["id"])} for file in body["attachments"]]
    if users := (body.get("allowed_mentions") or {}).get("users"):
        changed["allowed_mentions"] = {**body["allowed_mentions"], "users": [str(user) for user in users]}
    return changed


def _fits(template: list[str], parts: list[str]) -> bool:
    return len(template) == len(parts) and all(
        t == p or t.startswith("{") for t, p in zip(template, parts, strict=True)
    )


@lru_cache(maxsize=1)
def load_description() -> Description:
    """Return the description."""
    return Description(json.loads(PATH.read_text(encoding="utf-8")))
