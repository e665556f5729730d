"""Fetch the weights of a repository to where huggingface_hub keeps them.

What it fetches of a file itself is lost with its process, and with hf_xet isn't even the beginning of the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.hub.client import NotAHubError
from bot.hub.download.transfer import download
from bot.hub.download.verified import DamagedFile, is_right
from bot.hub.reference import ModelReference

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata
    from huggingface_hub.hf_api import RepoFile

_AT_ONCE = 8
"""As many as huggingface_hub fetches."""


def blobs(folder: Path) -> Path:
    """Return where huggingface_hub keeps the files that a snapshot's folder links to."""
    return folder.parents[1] / "blobs"


def unfinished_weights(folder: Path, file: RepoFile) -> Path:
    """Return where a file of weights is while it is being fetched."""
    return blobs(folder) / f"{file.blob_id}.incomplete"


def fetch_weights(reference: ModelReference, folder: Path, files: Sequence[RepoFile]) -> set[str]:
    """Fetch those of a snapshot's files that are weights; return the ones that were fetched and checked."""
    from huggingface_hub.constants import MAX_HTTP_DOWNLOAD_SIZE

    wanted = [file for file in files if file.path.endswith(".safetensors") and file.size <= MAX_HTTP_DOWNLOAD_SIZE]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        fetched = pool.map(partial(_fetch, reference, folder), wanted)
        return {file.path for file, is_new in zip(wanted, fetched, strict=True) if is_new}


def _fetch(reference: ModelReference, folder: Path, file: RepoFile) -> bool:
    """Fetch a file unless it is there, and link to it from the snapshot; say whether it wasn't there."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    pointer, part = folder / file.path, unfinished_weights(folder, file)
    lock = folder.parents[2] / ".locks" / folder.parents[1].name / f"{file.blob_id}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if pointer.is_file():
            return False
        url = hf_hub_url(reference.name, file.path, revision=folder.name)
        found = get_hf_file_metadata(url, retry_on_errors=True)
        blob = _blob(folder, found)
        is_new = not blob.exists()
        if is_new:
            source, headers = _source(url, found)
            right = partial(is_right, file=file)
            if not download(source, part, blob, size=file.size, headers=headers, is_right=right):
                raise DamagedFile(file.path)
        _link(pointer, blob)
    return is_new


def _blob(folder: Path, found: HfFileMetadata) -> Path:
    """Return where huggingface_hub looks for a file; raise NotAHub when its ETag is none of the Hub's."""
    if not found.etag or Path(found.etag).name != found.etag:
        raise NotAHubError("a file without an ETag")
    return blobs(folder) / found.etag


def _source(url: str, found: HfFileMetadata) -> tuple[str, dict[str, str]]:
    """Return where a file is, and the headers to ask for it: no other server gets the token."""
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    source, headers = url if found.xet_file_data else found.location, build_hf_headers()
    if urlsplit(source)[:2] != urlsplit(url)[:2]:
        headers.pop("authorization", None)
    return source, headers


def _link(pointer: Path, blob: Path) -> None:
    """Link to a file from a snapshot. Where there are no links, huggingface_hub does something else later."""
    pointer.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
