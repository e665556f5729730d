"""Turn the installed packages and our deltas into ordinary model folders in the user's cache.

`prepare` may be called at any time and by several processes at once: a folder that is up to date is left
alone (no heavy library is imported then), a lock lets one process build, and the build happens in a temporary
sibling folder that takes its place by renaming.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from bot.bundled import classify, sentiment, translate
from bot.bundled.models import (
    BUNDLED,
    BUNDLED_VARIABLE,
    CACHE_VARIABLE,
    DESCRIPTION,
    STAMP,
    BundledModel,
    bundled_model,
    bundled_root,
    is_whole,
    prepared_folder,
    source_folder,
)
from bot.bundled.packages import PackageMissing, package_folder
from bot.bundled.stamp import expected_revision, expected_stamp
from bot.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

Report = Callable[[str], None]

DELTA = "delta.safetensors"
CARD = "README.md"


def _silent(_: str) -> None:
    """Report nothing."""


def prepare(
    names: Iterable[str] | None = None, *, cache: Path | None = None, report: Report = _silent
) -> dict[str, Path]:
    """Build what is missing or out of date of the named models and return their folders.

    Without names: of all whose pip packages are there. `report` gets one line for each model. Raises ModelUnavailable
    when the pip package of a named model is missing, naming it, and when the cache can't be written.
    """
    try:
        if names is None:
            return _prepare_all(cache, report)
        wanted = [bundled_model(name) for name in names]
        return {model.name: _prepare(model, prepared_folder(model.name, cache=cache), report) for model in wanted}
    except OSError as error:
        raise ModelUnavailable(
            "The models can't be made ready in {folder}: {why}. Set {variable} to a folder with room to write.",
            folder=bundled_root(cache=cache),
            why=error.strerror or error,
            variable=BUNDLED_VARIABLE if os.environ.get(BUNDLED_VARIABLE) else CACHE_VARIABLE,
        ) from error


def _prepare_all(cache: Path | None, report: Report) -> dict[str, Path]:
    folders = {}
    for model in BUNDLED.values():
        try:
            folders[model.name] = _prepare(model, prepared_folder(model.name, cache=cache), report)
        except PackageMissing as error:
            report(f"{model.name}: left out. {error}")
    return folders


def _prepare(model: BundledModel, folder: Path, report: Report) -> Path:
    stamp = expected_stamp(model)
    if _is_current(folder, stamp):
        report(f"{model.name}: ready")
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{model.name}.lock")):
        if not _is_current(folder, stamp):
            report(f"{model.name}: building")
            with _replacement(folder) as made:
                _build(model, made)
                _describe(model, made)
                (made / STAMP).write_text(stamp, encoding="utf-8")
    report(f"{model.name}: ready")
    return folder


def _is_current(folder: Path, stamp: str) -> bool:
    try:
        return (folder / STAMP).read_text(encoding="utf-8") == stamp and is_whole(folder)
    except FileNotFoundError:
        return False


@contextmanager
def _replacement(folder: Path) -> Iterator[Path]:
    """Give a temporary sibling folder to fill; it takes the folder's place, or vanishes on an error."""
    for left_over in folder.parent.glob(f".{folder.name}-*"):  # of a run that was killed: we hold the lock
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch, "new")
        made.mkdir()
        yield made
        if folder.exists():
            folder.rename(Path(scratch, "old"))
        made.rename(folder)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep transformers' own progress bars out of a set-up's output."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _build(model: BundledModel, target: Path) -> None:
    """Write the model's own files into an empty folder."""
    with _no_progress_bars() if model.packages else nullcontext():
        _write_model(model, target)


def _write_model(model: BundledModel, target: Path) -> None:
    source = source_folder(model.name)
    packages = [package_folder(module) for module in model.packages]
    match model.task:
        case "sentiment":
            sentiment.build(target, package=packages[0], delta=source / DELTA)
        case "classify":
            classify.build(target, weights_package=packages[0], names_package=packages[1])
        case "translate":
            translate.build(target, package=packages[0], delta=source / DELTA, pair=model.pair)
        case _:
            shutil.copytree(source, target, dirs_exist_ok=True)


def _describe(model: BundledModel, target: Path) -> None:
    """Write the model card, and hubcord.json, which says what the folder is for and how large its files are.

    What a complete source folder says in its own hubcord.json is kept.
    """
    card = source_folder(model.name) / CARD
    if card.is_file():
        shutil.copyfile(card, target / CARD)
    for file in target.rglob("*.safetensors"):  # written for their owner only; a bot in a container may be another
        file.chmod(0o644)
    path = target / DESCRIPTION
    description = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"version": "1"}
    description |= {"task": model.task, "revision": expected_revision(model)}
    if model.task == "translate":
        description |= dict(zip(("from", "to"), model.languages, strict=True))
    description["file_bytes"] = _sizes(target)
    path.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _sizes(folder: Path) -> dict[str, int]:
    """Return the size of each file but hubcord.json, by its name within the folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != DESCRIPTION]
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
