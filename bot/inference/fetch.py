"""Fetch a repository from the Hugging Face Hub: first what says what it is, then what a task needs of it."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from bot.errors import ModelUnavailable
from bot.inference.accepts import Accepts
from bot.inference.access import NO_SAFETENSORS, unavailable, why_not
from bot.inference.fetch_progress import OnBytes, progress_bar
from bot.inference.reference import ModelReference
from bot.inference.verified import verify

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

CARD = "README.md"
CONFIGS = ("model_index.json", "config.json")
OnFetch = Callable[[int, int], None]
"""Hears how many bytes were fetched, and of how many."""

_ACCESSORIES = {".json", ".txt", ".model", ".spm", ".bpe", ".tiktoken", ".jinja"}
_BASE = "adapter_config.json"
"""It makes transformers load another model, which it names."""
_WEIGHTS = re.compile(r"(diffusion_pytorch_)?model(-\d+-of-\d+)?\.safetensors")
"""What the libraries load when they aren't asked for a variant like fp16."""


def fetch(reference: ModelReference, accepts: Accepts, on_fetch: OnFetch) -> Path:
    """Return the folder of a repository's commit with all that is needed in it; raise ModelUnavailable.

    Whether it is of use is decided before weights are fetched. A commit that is in the cache takes no request.
    """
    with _explained(reference):
        folder = _snapshot(reference, reference.revision, CONFIGS)
        accepts.check(reference, read_config(folder))
        files = needed_files(reference, folder)
        _complete(reference, folder, files, on_fetch)
        verify(folder, files)
    return folder


def describe(reference: ModelReference) -> Path:
    """Return the folder of a repository's commit with what tells about it; raise ModelUnavailable."""
    with _explained(reference):
        return _snapshot(reference, reference.revision, (*CONFIGS, CARD))


def cached(reference: ModelReference) -> Path | None:
    """Return the folder of a repository's commit if all that is needed is in the cache. No request is made."""
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        folder = _snapshot(reference, reference.revision, CONFIGS, local_files_only=True)
        files = needed_files(reference, folder)
    except (OSError, ValueError, CachedRepoTreeNotFoundError, ModelUnavailable):
        return None
    return folder if all((folder / file.path).is_file() for file in files) else None


def read_config(folder: Path) -> dict[str, Any]:
    """Return a model's own configuration; empty when the folder has none."""
    for path in (folder / name for name in CONFIGS):
        if path.is_file():
            return dict(json.loads(path.read_text(encoding="utf-8")))
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
    """Say whether a file of an adapter's repository is needed: the one named, or all at the top."""
    return path == entry if entry else path.endswith(".safetensors") and "/" not in path


@contextlib.contextmanager
def _explained(reference: ModelReference) -> Iterator[None]:
    import httpx2

    try:
        yield
    except (httpx2.HTTPError, OSError, ValueError) as error:
        raise why_not(reference, error) from error


def _complete(reference: ModelReference, folder: Path, files: Sequence[RepoFile], on_fetch: OnFetch) -> None:
    """Fetch the files that aren't in the folder yet, reporting their bytes."""
    missing = [file for file in files if not (folder / file.path).is_file()]
    total = sum(file.size for file in missing) or 1
    if missing:
        names = [file.path for file in missing]
        _snapshot(reference, folder.name, names, lambda done: on_fetch(min(int(done), total), total))


def _snapshot(
    reference: ModelReference,
    revision: str | None,
    files: Sequence[str],
    on_bytes: OnBytes = lambda _: None,
    *,
    local_files_only: bool = False,
) -> Path:
    from huggingface_hub import snapshot_download

    # An adapter's repository has no configuration, which it would warn of.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    folder = snapshot_download(
        reference.name,
        revision=revision,
        allow_patterns=list(files),
        tqdm_class=progress_bar(on_bytes),
        local_files_only=local_files_only,
    )
    return Path(folder)
