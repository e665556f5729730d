"""Read a repository's README.md: what the data at its head says of a model, and the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.hub.download.repository import CARD


@dataclass(frozen=True, slots=True, kw_only=True)
class Readme:
    """Hold what a model card says; what it doesn't say is empty.

    `base_models` are the repositories that a model was made from; `trigger` are the words that an adapter was trained
    to hear (`instance_prompt`).
    """

    licence: str = ""
    languages: tuple[str, ...] = ()
    base_models: tuple[str, ...] = ()
    trigger: str = ""
    text: str = ""


def read_readme(folder: Path) -> Readme:
    """Return what is in a folder's README.md; of data that can't be read nothing but the text."""
    path = folder / CARD
    if not path.is_file():
        return Readme()
    data, text = _parts(path.read_text(encoding="utf-8", errors="replace"))
    return Readme(
        licence=", ".join(_texts(data.get("license"))),
        languages=_texts(data.get("language")),
        base_models=_texts(data.get("base_model")),
        trigger=", ".join(_texts(data.get("instance_prompt"))),
        text=text.strip(),
    )


def _parts(content: str) -> tuple[Mapping[str, Any], str]:
    """Return the YAML at the head of a model card as a mapping, and what comes below it."""
    import yaml
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    head = REGEX_YAML_BLOCK.search(content)
    if head is None:
        return {}, content
    try:
        data = yaml.safe_load(head[2])
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, LookupError, TypeError):
        # of dates like 2024-13-01, of lists in lists without end, of `!!int ""`
        data = None
    return data if isinstance(data, dict) else {}, content[head.end() :]


def _texts(value: Any) -> tuple[str, ...]:
    """Return the texts in a value that may be one, a list of them, or anything else that somebody wrote."""
    values = value if isinstance(value, list) else [value]
    return tuple(text.strip() for text in values if isinstance(text, str) and text.strip())
