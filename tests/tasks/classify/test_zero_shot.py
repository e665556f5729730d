"""Test /classify's models that take labels of people's own."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.cpu.choice import CHOICES
from bot.errors import BadInput
from bot.hub.resolve import find_model
from bot.machine.device import Device
from bot.tasks.classify.pipeline import ClassifyPipeline, load_classifier
from bot.tasks.classify.task import ClassifyRequest, ClassifySettings, read_labels
from tests.models.tiny_models import tiny_classifier
from tests.models.tiny_vision import tiny_clip, tiny_siglip
from tests.tasks.running import photo, run_batch

PICTURES = (photo(60, 40), photo(48, 48, angle=30), photo(60, 40, angle=70))
LABELS = ("a cat", "a red dog", "this car")


def classify(folder: Path, *pictures: bytes, labels: tuple[str, ...] = LABELS) -> list[Any]:
    requests = [ClassifyRequest(model=f"path:{folder}", image=picture, labels=labels) for picture in pictures]
    return run_batch(ClassifyPipeline(ClassifySettings()), requests)


@pytest.mark.parametrize(("write", "sentence"), [(tiny_clip, "a photo of {}"), (tiny_siglip, "This is a photo of {}.")])
def test_labels_have_the_probabilities_that_transformers_gives_them(
    write: Callable[[Path], Path], sentence: str, tmp_path: Path
) -> None:
    from transformers import pipeline

    folder = write(tmp_path / "model")
    reference = pipeline("zero-shot-image-classification", model=str(folder))
    for picture, result in zip(PICTURES, classify(folder, *PICTURES), strict=True):
        right = reference(Image.open(io.BytesIO(picture)), candidate_labels=list(LABELS), hypothesis_template=sentence)
        assert [label.label for label in result.labels] == [entry["label"] for entry in right]
        assert [label.score for label in result.labels] == pytest.approx([e["score"] for e in right], abs=1e-5)
        assert len({round(label.score, 5) for label in result.labels}) == 3


@pytest.mark.parametrize("precision", CHOICES)
def test_every_precision(precision: Any, tmp_path: Path) -> None:
    files = find_model(f"path:{tiny_siglip(tmp_path / 'siglip')}")
    (found, right) = (load_classifier(files, Device("cpu", threads=1, precision=p)) for p in (precision, "fp32"))
    pictures = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in PICTURES]
    for one, other in zip(*(c([c.preprocess(p, 3) for p in pictures], LABELS) for c in (found, right)), strict=True):
        scores = {label.label: label.score for label in other.labels}
        assert {label.label: label.score for label in one.labels} == pytest.approx(scores, abs=0.02)


def test_a_model_without_its_kind_of_labels_says_what_to_do(tmp_path: Path) -> None:
    clip, vit = tiny_clip(tmp_path / "clip"), tiny_classifier(tmp_path / "vit")
    assert "needs labels to choose from" in str(classify(clip, PICTURES[0], labels=())[0])
    assert "has labels of its own" in str(classify(vit, PICTURES[0])[0])
    assert classify(vit, PICTURES[0], labels=())[0].labels


def test_pictures_with_other_labels_do_not_run_together() -> None:
    one, other, none = (ClassifyRequest(model="m", image=b"x", labels=labels) for labels in (LABELS, LABELS[:2], ()))
    assert len({one.batch_key, other.batch_key, none.batch_key}) == 3


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", ()),
        (" , ,", ()),
        (" a cat ,a  dog,A Cat,, a red\ncar", ("a cat", "a dog", "a red car")),
        (",".join(map(str, range(25))), tuple(map(str, range(25)))),
    ],
)
def test_labels_are_read(text: str, labels: tuple[str, ...]) -> None:
    assert read_labels(text) == labels


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cat", "Give 2 to 25 labels"),
        ("cat, Cat", "Give 2 to 25 labels"),
        (",".join(map(str, range(26))), "Give 2 to 25 labels"),
        ("cat," + "x" * 101, "at most 100 characters"),
    ],
)
def test_labels_that_can_not_be_used(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        read_labels(text)
