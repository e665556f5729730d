"""Fetch models of torchvision and PyTorch Hub to where torch keeps them, without loading them into this process."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bot.errors import one_line
from bot.hub.access import check_online, model_unavailable
from bot.hub.download.process import OnFetch, fetch_apart
from bot.hub.download.transfer import OnFiles, download
from bot.hub.libraries.builder_facts import builder_facts, torch_hub_folder
from bot.hub.model_filter import ModelFilter
from bot.hub.reference import ModelReference
from bot.hub.torchhub import check_trusted, load_hub_classifier, pinned

_HASH = re.compile(r"-([a-f0-9]*)\.")
"""Where torch looks for the beginning of a file's SHA-256 in its name."""
_HEADERS = {"Accept-Encoding": "identity"}
_TIMEOUT_S = 20.0
_AGAIN = "It can't be fetched ({why}). 1. Check this machine's network, and whether its disk is full. 2. Try again."


def fetch_from_torch(
    reference: ModelReference, model_filter: ModelFilter, trusted: Container[str], on_fetch: OnFetch
) -> None:
    """Fetch a model that isn't here, in a process of its own; raise ModelUnavailable. It runs no code of others."""
    if not is_fetched(reference, model_filter, trusted):
        fetch_apart(reference, model_filter, on_fetch, trusted)


def is_fetched(reference: ModelReference, model_filter: ModelFilter, trusted: Container[str]) -> bool:
    """Say whether a model is here; raise ModelUnavailable for one that can't be used."""
    file = _fetched_file(reference, model_filter, trusted)
    return file.is_file() and all(weights.is_file() for weights in _noted(reference, file))


def _noted(reference: ModelReference, file: Path) -> list[Path]:
    """Return the weights that came with a PyTorch Hub repository, as the file says that tells of it."""
    is_note = reference.scheme == "torchhub" and file.is_file()
    return [Path(line) for line in file.read_text(encoding="utf-8").splitlines()] if is_note else []


def _fetched_file(reference: ModelReference, model_filter: ModelFilter, trusted: Container[str]) -> Path:
    """Return the file that is there when a model is fetched; raise ModelUnavailable for one that can't be used."""
    model_filter.check(reference, {})
    if reference.scheme == "torchhub":
        check_trusted(reference, trusted)
        folder = f"{reference.name}/{pinned(reference)}".replace("/", "_")  # as torch.hub names it
        return torch_hub_folder() / folder / f".hubcord-{reference.entry}"
    facts = builder_facts(reference)
    if trouble := facts.trouble(model_filter):
        raise model_unavailable(reference, trouble)
    return facts.file


def fetch_from_torch_here(
    reference: ModelReference, model_filter: ModelFilter, trusted: Container[str], on_files: OnFiles
) -> Path:
    """Fetch a model in this process, which runs the code of a PyTorch Hub repository; raise ModelUnavailable."""
    file = _fetched_file(reference, model_filter, trusted)
    if is_fetched(reference, model_filter, trusted):
        return file
    check_online(reference)
    if reference.scheme == "torchhub":
        weights = [*_noted(reference, file), *_fetch_repository(reference, on_files)]
        file.write_text("\n".join(map(str, dict.fromkeys(weights))), encoding="utf-8")
    else:
        _fetch_weights(reference, file, on_files)
    return file


def _fetch_weights(reference: ModelReference, file: Path, on_files: OnFiles) -> None:
    prefix = _HASH.search(file.name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _download(on_files, builder_facts(reference).url, str(file), prefix[1] if prefix else None)
    except OSError as error:
        raise model_unavailable(reference, _AGAIN.format(why=one_line(error)), reason=type(error).__name__) from error


def _fetch_repository(reference: ModelReference, on_files: OnFiles) -> list[Path]:
    """Let torch.hub load a model, and return the weights that it fetches: its own download tells nobody of them."""
    import torch

    weights: list[Path] = []

    def on_weights(files: Mapping[Path, int], pattern: Path) -> None:
        weights.extend(files)
        on_files(files, pattern)

    torch.hub.download_url_to_file = partial(_download, on_weights)
    load_hub_classifier(reference)
    return weights


def _download(on_files: OnFiles, url: str, dst: str, hash_prefix: str | None = None, **_progress: Any) -> None:
    """Fetch a file as torch.hub.download_url_to_file does; raise OSError."""
    import httpx2
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    target = Path(dst)
    part = target.with_name(f"{target.name}.incomplete")
    try:
        size = _size(url)
        on_files({} if target.suffix == ".zip" else {target: size}, part)  # it is removed when it is unpacked
        with WeakFileLock(target.with_name(f"{target.name}.lock")):
            right = partial(_has_hash, prefix=hash_prefix) if hash_prefix else None
            if not target.exists() and not download(url, part, target, size=size, headers=_HEADERS, is_right=right):
                raise OSError(f"{target.name} arrived damaged")
    except httpx2.HTTPError as error:
        raise ConnectionError(*error.args) from error


def _size(url: str) -> int:
    """Return the size of a file; 0 when the server doesn't tell."""
    from huggingface_hub import get_session

    answer = get_session().head(url, headers=_HEADERS, timeout=_TIMEOUT_S)
    size = answer.headers.get("Content-Length", "")
    return int(size) if answer.is_success and size.isascii() and size.isdecimal() else 0


def _has_hash(file: Path, *, prefix: str) -> bool:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest().startswith(prefix)
