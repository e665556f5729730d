"""Find a model's files: on the Hugging Face Hub, in a local folder, or among the bundled models."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.bundled.models import bundled_path
from bot.errors import ModelUnavailable, one_line
from bot.hub.access import NO_SAFETENSORS, model_unavailable
from bot.hub.download.process import OnFetch
from bot.hub.download.repository import cached, fetch, read_config
from bot.hub.download.torch_weights import fetch_from_torch, is_fetched
from bot.hub.json_files import read_json
from bot.hub.model_filter import ANYTHING, FOLDERS, ModelFilter
from bot.hub.reference import ModelReference, parse_reference, shown_model


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Say where a model is: a `folder` in hub format, or (torchvision, PyTorch Hub) a reference alone.

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
        return read_config(self.folder) if self.folder else {}

    @property
    def size_bytes(self) -> int:
        """Return the size of the weights on disk; 0 when unknown."""
        return sum(f.stat().st_size for f in weight_files(self.reference, self.folder)) if self.folder else 0


def find_model(
    text: str,
    on_fetch: OnFetch = lambda _done, _total: None,
    model_filter: ModelFilter = ANYTHING,
    trusted: Container[str] = (),
) -> ModelFiles:
    """Find the files of a reference, fetching what's missing; raise ModelUnavailable.

    `on_fetch` hears of the bytes as they are fetched; `trusted` are the PyTorch Hub repositories whose code may run.
    """
    reference = parse_reference(text)
    if reference.scheme == "hf":
        return _in_folder(reference, fetch(reference, model_filter, on_fetch))
    if reference.scheme not in FOLDERS:
        fetch_from_torch(reference, model_filter, trusted, on_fetch)
        return ModelFiles(reference, revision=reference.revision)
    folder = bundled_path(reference.name) if reference.scheme == "bundled" else Path(reference.name).expanduser()
    _check_folder(reference, folder, model_filter)
    return _in_folder(reference, folder)


def local_model(text: str) -> ModelFiles | None:
    """Return the files of a reference if they are complete on this machine. Nothing is fetched or checked."""
    reference = parse_reference(text)
    folder = local_folder(reference)
    return _in_folder(reference, folder) if folder else None


def _in_folder(reference: ModelReference, folder: Path) -> ModelFiles:
    try:
        meta = read_meta(folder)
    except (OSError, ValueError) as error:
        raise model_unavailable(reference, f"Its hubcord.json can't be read ({one_line(error)}).") from error
    return ModelFiles(reference, folder, folder.name if reference.scheme == "hf" else meta.get("revision"), meta)


def local_folder(reference: ModelReference) -> Path | None:
    """Return a model's folder if it is complete on this machine; None too for forms without one. Nothing is fetched."""
    if reference.scheme == "hf":
        return cached(reference)
    if reference.scheme == "bundled":
        with contextlib.suppress(ModelUnavailable):
            return bundled_path(reference.name)
    folder = Path(reference.name).expanduser()
    return folder if reference.scheme == "path" and (folder / (reference.entry or ".")).exists() else None


def is_here(text: str) -> bool:
    """Say whether a model is complete on this machine."""
    reference = parse_reference(text)
    if reference.scheme in FOLDERS:
        return local_folder(reference) is not None
    with contextlib.suppress(ModelUnavailable):
        return is_fetched(reference, ANYTHING, (reference.name,))
    return False


def _check_folder(reference: ModelReference, folder: Path, model_filter: ModelFilter) -> None:
    try:
        config, weights = read_config(folder), weight_files(reference, folder)
    except (OSError, ValueError) as error:
        raise model_unavailable(reference, f"Its configuration can't be read ({one_line(error)}).") from error
    if not config and not (weights and model_filter.matches("")):
        raise model_unavailable(reference, "The folder has no config.json or model_index.json.")
    model_filter.check(reference, config)
    if not weights:
        raise model_unavailable(reference, NO_SAFETENSORS)


def weight_files(reference: ModelReference, folder: Path) -> list[Path]:
    """Return the safetensors files in a model's folder: all, or the one that the reference names."""
    if reference.entry:
        return [path for path in (folder / reference.entry,) if path.is_file()]
    return list(folder.rglob("*.safetensors"))


def read_meta(folder: Path) -> dict[str, Any]:
    """Return what a model's maker wrote down for hubcord; empty for most. Raise ValueError when it can't be read."""
    return read_json(folder / "hubcord.json")
