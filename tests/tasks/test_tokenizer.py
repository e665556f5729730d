"""Test that a model without the files of its tokenizer isn't used: it would read every text as the same nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.errors import ModelUnavailable
from bot.hub.resolve import find_model
from bot.machine.device import Device
from bot.tasks.classify.pipeline import load_classifier
from bot.tasks.describe.pipeline import load_describer
from bot.tasks.sentiment.pipeline import _TextClassifier
from bot.tasks.translate.model_families import read_steering
from bot.tasks.translate.translator import Translator
from bot.workers.background_load import load
from tests.models.tiny_models import tiny_sentiment
from tests.models.tiny_translators import tiny_m2m100, tiny_marian, tiny_mbart50, tiny_t5
from tests.models.tiny_vision import tiny_clip, tiny_git

_KEPT = {"config.json", "generation_config.json", "model.safetensors", "preprocessor_config.json"}
_SENTENCE = "It knows no words: files of its tokenizer, like tokenizer.json or vocab.txt, are missing."


def _translator(files: Any, device: Device) -> Translator:
    return Translator(files, device, {})


def _without_tokenizer(folder: Path) -> Path:
    for file in folder.iterdir():
        if file.name not in _KEPT:
            file.unlink()
    return folder


@pytest.mark.parametrize(
    ("make", "loader"),
    [
        (tiny_sentiment, _TextClassifier),
        (tiny_marian, _translator),
        (tiny_m2m100, _translator),
        (tiny_mbart50, _translator),
        (tiny_clip, load_classifier),
        (tiny_git, load_describer),
    ],
)
def test_it_is_refused(tmp_path: Path, make: Callable[[Path], Path], loader: Callable[..., Any]) -> None:
    files = find_model(f"path:{make(tmp_path / 'model')}")
    load(files, loader, Device("cpu", threads=1, precision="fp32"))
    _without_tokenizer(tmp_path / "model")
    with pytest.raises(ModelUnavailable) as refused:
        load(files, loader, Device("cpu", threads=1, precision="fp32"))
    assert _SENTENCE in refused.value.values["hint"]


def test_the_doctor_hears_of_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="It knows no words"):
        read_steering(_without_tokenizer(tiny_t5(tmp_path / "model")), {})
