"""Say by a hash which inputs a prepared folder was made from, so that it is rebuilt only when they change."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bot.bundled.models import source_folder
from bot.bundled.packages import package_folder, package_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.bundled.models import BundledModel

RECIPE = 1
"""Count up when a builder's output changes, so that folders in people's caches are built anew."""


def expected_stamp(model: BundledModel) -> str:
    """Return the hash of all inputs, the card too; raise PackageMissing when a pip package is missing."""
    for module in model.packages:
        package_folder(module)
    return _digest(model, skip=())


def expected_revision(model: BundledModel) -> str:
    """Return eight hex digits that name the model's content: alike on every machine, whatever the card."""
    return _digest(model, skip=("README.md",))[:8]


def _digest(model: BundledModel, *, skip: Iterable[str]) -> str:
    digest = hashlib.sha256(f"{RECIPE}\0{model.name}\0{model.task}\0{model.pair}\0".encode())
    for module in model.packages:
        digest.update(f"{module}=={package_version(module)}\0".encode())
    source = source_folder(model.name)
    for path in sorted(path for path in source.rglob("*") if path.is_file() and path.name not in skip):
        digest.update(f"{path.relative_to(source).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
