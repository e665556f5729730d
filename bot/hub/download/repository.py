"""Fetch a repository from the Hugging Face Hub: first what says what it is, then what a task needs of it."""

from __future__ import annotations

import errno
import logging
import os
import re
import time
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from bot.errors import ModelUnavailable
from bot.hub.access import NO_SAFETENSORS, model_unavailable, translate_hub_errors
from bot.hub.cache import free_bytes
from bot.hub.client import NotAHubError, as_not_a_hub, cap_retry_after
from bot.hub.download.process import OnFetch, fetch_apart
from bot.hub.download.transfer import OnFiles, unfinished
from bot.hub.download.verified import DamagedFile, verify
from bot.hub.download.weights import blobs, fetch_weights, unfinished_weights
from bot.hub.json_files import read_json
from bot.hub.model_filter import ModelFilter
from bot.hub.reference import ModelReference

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

CARD = "README.md"
CONFIGS = ("model_index.json", "config.json")

_LEFTOVER_S = 3_600.0
"""How long nobody wrote to an unfinished file that a killed process left behind."""
_ACCESSORIES = {".json", ".txt", ".model", ".spm", ".bpe", ".tiktoken", ".jinja"}
_BASE = "adapter_config.json"
"""It makes transformers load another model, which it names."""
_BLOB = re.compile(r"[0-9a-f]+")
_WEIGHTS = re.compile(r"(diffusion_pytorch_)?model(-\d+-of-\d+)?\.safetensors")
"""What the libraries load when they aren't asked for a variant like fp16."""


def fetch(reference: ModelReference, model_filter: ModelFilter, on_fetch: OnFetch) -> Path:
    """Return the folder of a repository's commit with all that is needed in it; raise ModelUnavailable.

    A commit that is in the cache takes no request. All else is fetched in a process of its own: what `on_fetch` raises
    stops it.
    """
    if not reference.is_commit or (folder := cached(reference)) is None:
        return fetch_apart(reference, model_filter, on_fetch)
    with translate_hub_errors(reference):
        model_filter.check(reference, read_config(folder))
        _verify(folder, needed_files(reference, folder))
    return folder


def fetch_here(reference: ModelReference, model_filter: ModelFilter, on_files: OnFiles) -> Path:
    """Fetch in this process. Whether a repository is of use is decided before its weights are fetched."""
    with translate_hub_errors(reference):
        folder = _snapshot(reference, reference.revision, CONFIGS)
        try:
            _fetch_files(reference, folder, model_filter, on_files)
        except (NotAHubError, DamagedFile):
            _forget_list(folder)
            raise
    return folder


def _fetch_files(reference: ModelReference, folder: Path, model_filter: ModelFilter, on_files: OnFiles) -> None:
    _verify(folder, [file for file in _tree(reference, folder) if file.path in CONFIGS])
    model_filter.check(reference, read_config(folder))
    files = needed_files(reference, folder)
    on_files({folder / file.path: file.size for file in files}, _unfinished(folder))
    missing = _missing(folder, files)
    _make_room(folder, missing)
    checked = fetch_weights(reference, folder, missing)
    if missing := _missing(folder, missing):
        _snapshot(reference, folder.name, [file.path for file in missing])
    _verify(folder, files, checked)


def _forget_list(folder: Path) -> None:
    """Let the next try ask the Hub anew which files a commit has: what it said may have been wrong, not the files."""
    (folder.parents[1] / "trees" / f"{folder.name}.json").unlink(missing_ok=True)


def describe(reference: ModelReference) -> Path:
    """Return the folder of a repository's commit with what tells about it; raise ModelUnavailable."""
    with translate_hub_errors(reference):
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
    found = (folder / name for name in CONFIGS)
    return read_json(next((path for path in found if path.is_file()), folder / CONFIGS[0]))


def needed_files(reference: ModelReference, folder: Path) -> list[RepoFile]:
    """Return the files that are needed; raise ModelUnavailable when the weights have other forms only."""
    config = read_config(folder)
    parts = [name for name, value in config.items() if isinstance(value, list)] if "_class_name" in config else []
    tree = _tree(reference, folder)
    if config and not reference.entry:
        files = [file for file in tree if is_needed(file.path, parts)]
    else:
        files = [file for file in tree if _is_adapter(file.path, reference.entry)]
    if not any(file.path.endswith(".safetensors") for file in files):
        raise model_unavailable(reference, NO_SAFETENSORS)
    return files


def _tree(reference: ModelReference, folder: Path) -> list[RepoFile]:
    """Return a commit's files as the Hub listed them; raise CachedRepoTreeNotFoundError when it never did.

    Without a Hub those count that are in the cache, which another tool may have filled: nothing tells what they were.
    """
    from huggingface_hub import get_cached_repo_tree, is_offline_mode
    from huggingface_hub.errors import CachedRepoTreeNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        tree = get_cached_repo_tree(reference.name, revision=folder.name)
    except CachedRepoTreeNotFoundError:
        if not is_offline_mode():
            raise
        here = ((path, path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file())
        return [RepoFile(path=name, size=path.stat().st_size, oid="") for path, name in here]  # type: ignore[no-untyped-call]
    if wrong := [file for file in tree if not _is_sane(file)]:
        raise NotAHubError(f"a file called {wrong[0].path} of {wrong[0].size} bytes")
    return tree


def _is_sane(file: RepoFile) -> bool:
    """Say whether a file has a size, stays in its folder, and has a name of git's: the latter two become paths here."""
    where = PureWindowsPath(file.path)  # reads both kinds of slashes
    stays = not where.anchor and ".." not in where.parts
    return stays and bool(_BLOB.fullmatch(str(file.blob_id))) and isinstance(file.size, int) and file.size >= 0


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


def _verify(folder: Path, files: Sequence[RepoFile], checked: Collection[str] = ()) -> None:
    """Check files whose hashes the Hub listed, but for those that are checked already."""
    verify(folder, [file for file in files if file.blob_id], checked)


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

    if not local_files_only:
        cap_retry_after()
    disable_progress_bars()
    # An adapter's repository has no configuration, which it would warn of.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with as_not_a_hub():
        return Path(
            snapshot_download(
                reference.name, revision=revision, allow_patterns=list(files), local_files_only=local_files_only
            )
        )
