"""Fetch a repository from the Hugging Face Hub: first what says what it is, then what a task needs of it."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from bot.errors import ModelUnavailable, brief
from bot.inference.accepts import Accepts
from bot.inference.access import NO_SAFETENSORS, NotAHub, unavailable, why_not
from bot.inference.download import OnFiles, unfinished
from bot.inference.fetch_process import OnFetch, fetch_apart
from bot.inference.fetch_weights import blobs, fetch_weights, unfinished_weights
from bot.inference.hub_cache import free_bytes
from bot.inference.hub_client import never_sleep_long
from bot.inference.reference import ModelReference
from bot.inference.verified import verify

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

CARD = "README.md"
CONFIGS = ("model_index.json", "config.json")

_ODD_ANSWERS = (AssertionError, AttributeError, LookupError, TypeError, json.JSONDecodeError)
"""What huggingface_hub raises when it doesn't understand what a server answers."""
_LEFTOVER_S = 3_600.0
"""How long nobody wrote to an unfinished file that a killed process left behind."""
_ACCESSORIES = {".json", ".txt", ".model", ".spm", ".bpe", ".tiktoken", ".jinja"}
_BASE = "adapter_config.json"
"""It makes transformers load another model, which it names."""
_WEIGHTS = re.compile(r"(diffusion_pytorch_)?model(-\d+-of-\d+)?\.safetensors")
"""What the libraries load when they aren't asked for a variant like fp16."""


def fetch(reference: ModelReference, accepts: Accepts, on_fetch: OnFetch) -> Path:
    """Return the folder of a repository's commit with all that is needed in it; raise ModelUnavailable.

    A commit that is in the cache takes no request. All else is fetched in a process of its own: what `on_fetch` raises
    stops it.
    """
    if reference.is_commit and cached(reference):
        return fetch_here(reference, accepts)
    return fetch_apart(reference, accepts, on_fetch)


def fetch_here(reference: ModelReference, accepts: Accepts, on_files: OnFiles = lambda _files, _pattern: None) -> Path:
    """Fetch in this process. Whether a repository is of use is decided before its weights are fetched."""
    with _explained(reference):
        folder = _snapshot(reference, reference.revision, CONFIGS)
        accepts.check(reference, read_config(folder))
        files = needed_files(reference, folder)
        on_files({folder / file.path: file.size for file in files}, _unfinished(folder))
        missing = _missing(folder, files)
        _make_room(folder, missing)
        checked = fetch_weights(reference, folder, missing)
        if missing := _missing(folder, missing):
            _snapshot(reference, folder.name, [file.path for file in missing])
        verify(folder, files, checked)
    return folder


def describe(reference: ModelReference) -> Path:
    """Return the folder of a repository's commit with what tells about it; raise ModelUnavailable."""
    with _explained(reference):
        return _snapshot(reference, reference.revision, (*CONFIGS, CARD))


def known(reference: ModelReference) -> Path | None:
    """Return the folder of a repository's commit with what of it is in the cache. No request is made."""
    try:
        return _snapshot(reference, reference.revision, CONFIGS, local_files_only=True)
    except (OSError, ValueError):
        return None


def cached(reference: ModelReference) -> Path | None:
    """Return the folder of a repository's commit if all that is needed is in the cache. No request is made."""
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    folder = known(reference)
    if folder is None:
        return None
    try:
        files = needed_files(reference, folder)
    except (OSError, ValueError, CachedRepoTreeNotFoundError, ModelUnavailable):
        return None
    return folder if all((folder / file.path).is_file() for file in files) else None


def read_config(folder: Path) -> dict[str, Any]:
    """Return a model's own configuration; empty when the folder has none. Raise ValueError when it isn't one."""
    for path in (folder / name for name in CONFIGS):
        if path.is_file():
            config = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(config, dict):
                raise ValueError(f"its {path.name} is no configuration")
            return config
    return {}


def needed_files(reference: ModelReference, folder: Path) -> list[RepoFile]:
    """Return the files that are needed; raise ModelUnavailable when the weights have other forms only."""
    from huggingface_hub import get_cached_repo_tree

    config = read_config(folder)
    parts = [name for name, value in config.items() if isinstance(value, list)] if "_class_name" in config else []
    tree = get_cached_repo_tree(reference.name, revision=folder.name)
    if config and not reference.entry:
        files = [file for file in tree if is_needed(file.path, parts)]
    else:
        files = [file for file in tree if _is_adapter(file.path, reference.entry)]
    if not any(file.path.endswith(".safetensors") for file in files):
        raise unavailable(reference, NO_SAFETENSORS)
    return files


def is_needed(path: str, parts: Sequence[str]) -> bool:
    """Say whether a file is needed: at the top, or in the folder of one of a pipeline's parts."""
    where = PurePosixPath(path)
    if str(where.parent) not in (".", *parts):
        return False
    weights = _WEIGHTS.fullmatch(where.name) and bool(parts) == (str(where.parent) != ".")
    return bool(weights) or (where.suffix in _ACCESSORIES and path != _BASE) or path == CARD


def _is_adapter(path: str, entry: str | None) -> bool:
    """Say whether a file of an adapter's repository is needed: its card, and the one named, or all at the top."""
    return path in (entry, CARD) if entry else path == CARD or (path.endswith(".safetensors") and "/" not in path)


@contextlib.contextmanager
def _explained(reference: ModelReference) -> Iterator[None]:
    import httpx2

    try:
        yield
    except (httpx2.HTTPError, OSError, ValueError) as error:
        raise why_not(reference, error) from error


def _missing(folder: Path, files: Sequence[RepoFile]) -> list[RepoFile]:
    return [file for file in files if not (folder / file.path).is_file()]


def _unfinished(folder: Path) -> Path:
    """Return the pattern of what is being written of a snapshot's files, or was when a process was killed."""
    return blobs(folder) / "*.incomplete"


def _make_room(folder: Path, missing: Sequence[RepoFile]) -> None:
    """Remove what killed processes left and nobody goes on with; raise OSError when the disk has no room."""
    begun = {unfinished_weights(folder, file) for file in missing}
    writing = 0
    for path, stat in unfinished(_unfinished(folder)):
        if path not in begun and time.time() - stat.st_mtime > _LEFTOVER_S:
            path.unlink(missing_ok=True)
        else:
            writing += stat.st_size
    if free_bytes() + writing < sum(file.size for file in missing):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _snapshot(
    reference: ModelReference, revision: str | None, files: Sequence[str], *, local_files_only: bool = False
) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    never_sleep_long()
    disable_progress_bars()
    # An adapter's repository has no configuration, which it would warn of.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        return Path(
            snapshot_download(
                reference.name, revision=revision, allow_patterns=list(files), local_files_only=local_files_only
            )
        )
    except _ODD_ANSWERS as error:
        raise NotAHub(brief(error)) from error
