"""The catalogue: names, places and what it says when a model isn't prepared."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bot.bundled import models as catalog
from bot.bundled.models import BUNDLED, DESCRIPTION, STAMP, bundled_path, cache_root, prepared_folder, source_folder
from bot.errors import ModelUnavailable

ROOT = Path(__file__).parents[2]
NAMES = {"minilm-sentiment", "efficientnet-lite0", "bergamot-en-pt", "bergamot-pt-en", "emoji-sd"}
HEAVY = {"torch", "numpy", "transformers", "diffusers", "safetensors"}


def test_names_and_tasks() -> None:
    assert set(BUNDLED) == NAMES
    assert {model.task for model in BUNDLED.values()} == {"sentiment", "classify", "translate", "imagine"}
    assert BUNDLED["bergamot-pt-en"].languages == ("pt", "en")


def test_cache_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUBCORD_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("HUBCORD_CACHE")
    assert cache_root().name == "hubcord"


def test_bundled_models_lie_in_the_cache_or_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HUBCORD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HUBCORD_BUNDLED", raising=False)
    assert prepared_folder("emoji-sd") == tmp_path / "cache" / "bundled" / "emoji-sd"
    monkeypatch.setenv("HUBCORD_BUNDLED", str(tmp_path / "image"))
    assert prepared_folder("emoji-sd") == tmp_path / "image" / "emoji-sd"
    assert cache_root() == tmp_path / "cache"


def test_unprepared_model_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="make venv"):
        bundled_path("emoji-sd", cache=tmp_path)


def test_half_made_folder_is_not_prepared(tmp_path: Path) -> None:
    folder = tmp_path / "bundled" / "emoji-sd"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelUnavailable):
        bundled_path("emoji-sd", cache=tmp_path)
    (folder / STAMP).write_text("x")
    with pytest.raises(ModelUnavailable, match="damaged, or of an older hubcord"):
        bundled_path("emoji-sd", cache=tmp_path)
    (folder / DESCRIPTION).write_text('{"file_bytes": {"config.json": 2}}')
    assert bundled_path("emoji-sd", cache=tmp_path) == folder


def test_unknown_name_lists_the_names(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="minilm-sentiment"):
        bundled_path("../secrets", cache=tmp_path)


def test_an_installed_wheel_has_the_models_where_they_are_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    installed = tmp_path / build["force-include"]["models"] / "emoji-sd"
    installed.mkdir(parents=True)
    monkeypatch.setattr(catalog, "__file__", str(tmp_path / "bot" / "bundled" / "catalog.py"))
    assert source_folder("emoji-sd") == installed


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_model_has_its_card(name: str) -> None:
    card = (source_folder(name) / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert "license:" in card.split("---")[1]


def test_importing_is_light() -> None:
    code = "import sys, bot.bundled, bot.bundled.models, bot.bundled.prepare; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & {name.split(".")[0] for name in done.stdout.split()}
