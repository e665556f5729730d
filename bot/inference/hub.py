"""Find a model's files: on the Hugging Face Hub, in a local folder, or among the bundled models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.bundled.catalog import bundled_path
from bot.errors import ModelUnavailable, brief
from bot.inference.reference import ModelReference, parse_reference, shown_model

_CONFIGS = ("config.json", "model_index.json")
_TRANSFORMERS_FILES = [
    "*.json",
    "*.txt",
    "*.model",
    "*.spm",
    "*.bpe",
    "*.tiktoken",
    "*.jinja",
    "*.safetensors",
]
OnFetch = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Say where a model is: a `folder` in hub format, or (torchvision) a builder's `name` alone.

    `meta` is the folder's `hubcord.json`: defaults and hints that its maker wrote down for hubcord.
    """

    reference: ModelReference
    folder: Path | None = None
    revision: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """Return the name and revision that people see."""
        return shown_model(self.reference.short_name, self.revision)

    @property
    def config(self) -> dict[str, Any]:
        """Return the model's own configuration; empty for a model without a folder."""
        for name in _CONFIGS if self.folder else ():
            path = Path(str(self.folder)) / name
            if path.is_file():
                return dict(json.loads(path.read_text(encoding="utf-8")))
        return {}

    @property
    def size_bytes(self) -> int:
        """Return the size of the weights on disk; 0 when unknown."""
        return sum(f.stat().st_size for f in self.folder.rglob("*.safetensors")) if self.folder else 0


def find_model(text: str, on_fetch: OnFetch = lambda _: None) -> ModelFiles:
    """Find the files of a reference, fetching what's missing; raise ModelUnavailable.

    `on_fetch` is called with the share fetched, 0 to 1.
    """
    reference = parse_reference(text)
    if reference.scheme == "torchvision":
        return ModelFiles(reference, revision=None)
    if reference.scheme == "hf":
        folder, revision = _fetch(reference, on_fetch)
    elif reference.scheme == "bundled":
        folder, revision = bundled_path(reference.name), None
    else:
        folder, revision = Path(reference.name).expanduser(), None
    _check_folder(reference, folder)
    meta = _read_meta(folder)
    return ModelFiles(reference, folder, revision or meta.get("revision"), meta)


def _check_folder(reference: ModelReference, folder: Path) -> None:
    if not any((folder / name).is_file() for name in _CONFIGS):
        raise ModelUnavailable(
            "There is no model at {model}: the folder has no config.json or model_index.json.",
            model=reference.short_name,
        )
    if not next(folder.rglob("*.safetensors"), None):
        raise ModelUnavailable(
            "{model} has no weights in safetensors form. Other forms can run code, so they aren't loaded.",
            model=reference.short_name,
        )


def _read_meta(folder: Path) -> dict[str, Any]:
    path = folder / "hubcord.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _fetch(reference: ModelReference, on_fetch: OnFetch) -> tuple[Path, str | None]:
    """Return the snapshot folder of a Hub repository and its commit."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        folder = _snapshot(reference, on_fetch)
    except GatedRepoError as error:
        hint = f"Accept the licence at the page of {reference.name} on the Hub with the account of your HF_TOKEN."
        raise _unavailable(reference, hint) from error
    except RepositoryNotFoundError as error:
        hint = f"{reference.name} doesn't exist on the Hub, or it is private: set HF_TOKEN to a token that can read it."
        raise _unavailable(reference, hint) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise _unavailable(reference, brief(error)) from error
    return folder, folder.name


def _unavailable(reference: ModelReference, hint: str) -> ModelUnavailable:
    """Say that a model isn't there; `hint` is for the host, on the command line and in the log."""
    return ModelUnavailable(
        "The model {model} isn't available on this server yet.", model=reference.short_name, hint=hint
    )


def _snapshot(reference: ModelReference, on_fetch: OnFetch) -> Path:
    from huggingface_hub import snapshot_download

    from bot.inference.fetch_progress import progress_bar

    where: dict[str, Any] = {"repo_id": reference.name, "revision": reference.revision}
    index = _pipeline_index(where)
    if index is None:
        folder = snapshot_download(
            **where,
            allow_patterns=_TRANSFORMERS_FILES,
            ignore_patterns=["*/*"],
            tqdm_class=progress_bar(on_fetch),
        )
        return Path(folder)
    return _diffusers_snapshot(reference, index)


def _pipeline_index(where: dict[str, Any]) -> Path | None:
    """Return a repository's model_index.json; None when it has none, which the cache remembers."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError

    known = try_to_load_from_cache(filename="model_index.json", **where)
    if known is not None:
        return Path(known) if isinstance(known, str) else None
    try:
        return Path(hf_hub_download(filename="model_index.json", **where))
    except EntryNotFoundError:
        return None


def _diffusers_snapshot(reference: ModelReference, index: Path) -> Path:
    """Fetch just the parts that the pipeline needs; diffusers knows which of a repository's many files those are."""
    from diffusers import DiffusionPipeline

    return Path(DiffusionPipeline.download(reference.name, revision=index.parent.name, use_safetensors=True))
