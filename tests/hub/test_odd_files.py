"""Test that one odd file of a model makes one line for the host, and breaks nothing else."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from bot.doctor import models as doctor_models
from bot.doctor.models import check_model
from bot.errors import ModelUnavailable
from bot.hub.cards import local_card
from bot.hub.json_files import read_json
from bot.hub.model_filter import ANYTHING, architectures
from bot.hub.resolve import find_model
from bot.hub.weight_info import read_weights
from bot.tasks.imagine.image_sizes import offered_sizes
from tests.hub.loopback_hub import lfs_pointer
from tests.models.tiny_models import tiny_sentiment

DAMAGED = "model.safetensors is no whole safetensors file"


def _header(value: Any) -> bytes:
    text = json.dumps(value).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.fixture
def sentiment(tmp_path: Path) -> Path:
    return tiny_sentiment(tmp_path / "sentiment")


def _trouble(folder: Path) -> str:
    return local_card(f"path:{folder}", ANYTHING).trouble


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lfs_pointer(b"weights"), "model.safetensors is a git-lfs pointer, run `git lfs pull`"),
        (b"", DAMAGED),
        (b"\xff" * 100, DAMAGED),
        (_header([1]), "its model.safetensors holds no JSON object"),
        (_header({"w": [1]}), DAMAGED),
        (_header({"w": {"dtype": "F32"}}), DAMAGED),
        (_header({"w": {"dtype": 5, "shape": [2]}}), DAMAGED),
        (_header({"w": {"dtype": "F32", "shape": ["a"]}}), DAMAGED),
    ],
)
def test_odd_weights(sentiment: Path, content: bytes, why: str) -> None:
    (sentiment / "model.safetensors").write_bytes(content)
    assert _trouble(sentiment) == f"Its files can't be read (ValueError: {why})."


def test_whole_weights_are_counted(tmp_path: Path) -> None:
    header = _header({"__metadata__": {"format": "pt"}, "a": {"dtype": "F16", "shape": [2, 3]}})
    (tmp_path / "a.safetensors").write_bytes(header + bytes(12))
    assert read_weights([tmp_path / "a.safetensors"]).parameters == {"F16": 6}


@pytest.mark.parametrize("file", ["config.json", "hubcord.json"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[" * 100_000, "is nested too deeply"),
        (b"[1]", "holds no JSON object"),
        (b"{half", "JSONDecodeError"),
        (b"\xff", "UnicodeDecodeError"),
        (b" " * 20_000_001, "is too large"),
    ],
    ids=["deep", "list", "half", "bytes", "large"],
)
def test_odd_json(sentiment: Path, file: str, content: bytes, why: str) -> None:
    (sentiment / file).write_bytes(content)
    assert why in _trouble(sentiment)
    with pytest.raises(ModelUnavailable) as error:
        find_model(f"path:{sentiment}")
    assert why in error.value.values["hint"]


@pytest.mark.parametrize("content", [b"{half", b'{"sizes": 5}'])
def test_a_picture_model_with_an_odd_file_is_offered_usual_sizes(sentiment: Path, content: bytes) -> None:
    (sentiment / "hubcord.json").write_bytes(content)
    assert "512x512" in offered_sizes(f"path:{sentiment}", max_pixels=512 * 512)


def test_a_file_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert read_json(tmp_path / "config.json") == {}


@pytest.mark.parametrize("config", [{"architectures": 5}, {"_class_name": True}, {"architectures": {"a": 1}}, {}])
def test_odd_architectures_are_none(config: dict[str, Any]) -> None:
    assert architectures(config) == []


async def test_the_doctor_has_a_line_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("a lot")

    monkeypatch.setattr(doctor_models, "local_card", fail)
    check, card = await check_model("sentiment", "path:here", ANYTHING, ())
    assert (check.state, check.text, card) == ("error", "It can't be looked at (MemoryError: a lot).", None)
