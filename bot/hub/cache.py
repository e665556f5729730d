"""Look into the Hub's cache on this machine and take repositories out of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.hub.reference import COMMIT_SHOWN, ModelReference

if TYPE_CHECKING:
    from huggingface_hub import CachedRevisionInfo


@dataclass(frozen=True, slots=True)
class CachedModel:
    """Name a repository in the cache, its commits there, and what they take together on the disk."""

    name: str
    commits: tuple[str, ...]
    size_bytes: int


def cached_models() -> list[CachedModel]:
    """Return the models in the cache, the largest first."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return []
    models = [
        CachedModel(repo.repo_id, tuple(revision.commit_hash for revision in repo.revisions), repo.size_on_disk)
        for repo in repositories
        if repo.repo_type == "model"
    ]
    return sorted(models, key=lambda model: -model.size_bytes)


def free_bytes() -> int:
    """Return what is free on the disk of the cache, whether its folder is there yet or not."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cache = Path(HF_HUB_CACHE)
    return shutil.disk_usage(next(path for path in (cache, *cache.parents) if path.exists())).free


def remove(reference: ModelReference) -> int:
    """Remove a repository's commit, all commits when none is named; return the bytes that were freed.

    A commit may be cut short as lists show it.
    """
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        found = scan_cache_dir()
    except CacheNotFound:
        return 0
    commits = [
        revision.commit_hash
        for repo in found.repos
        if repo.repo_type == "model" and repo.repo_id == reference.name
        for revision in repo.revisions
        if reference.revision is None or _means(reference.revision, revision)
    ]
    plan = found.delete_revisions(*commits)
    plan.execute()
    return plan.expected_freed_size


def _means(text: str, revision: CachedRevisionInfo) -> bool:
    return text in revision.refs or (len(text) >= COMMIT_SHOWN and revision.commit_hash.startswith(text))
