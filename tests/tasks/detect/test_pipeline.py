"""Test that things are found as transformers and torchvision find them, alone and in batches."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.errors import BadInput, ModelUnavailable
from bot.hub.resolve import find_model
from bot.tasks.detect.pipeline import DetectPipeline
from bot.tasks.detect.task import DetectRequest, DetectResult, DetectSettings
from tests.models.tiny_models import tiny_classifier
from tests.models.tiny_vision import tiny_detr, tiny_yolos
from tests.tasks.running import photo, run_batch

PICTURES = (photo(60, 40), photo(48, 48, angle=30), photo(60, 40, angle=70))


def request(model: str, image: bytes = PICTURES[0], confidence: int = 1) -> DetectRequest:
    return DetectRequest(model=model, image=image, confidence=confidence)


def detect(*requests: DetectRequest, **settings: Any) -> list[Any]:
    return run_batch(DetectPipeline(DetectSettings(**settings)), requests)


def seen(result: DetectResult) -> list[tuple[Any, ...]]:
    return [(box.label, box.score, box.left, box.top, box.right, box.bottom) for box in result.boxes]


def found_by_transformers(folder: Path, image: Image.Image, *, scale: int = 1) -> list[tuple[Any, ...]]:
    """Return what transformers' own pipeline finds. It turns pictures upright, too; places are cut to whole pixels."""
    from transformers import pipeline

    found = pipeline("object-detection", model=str(folder))(image, threshold=0.01)
    found.sort(key=lambda thing: -thing["score"])
    return [
        (
            thing["label"],
            pytest.approx(thing["score"], abs=1e-4),
            *(pytest.approx(scale * thing["box"][side], abs=1.01 * scale) for side in ("xmin", "ymin", "xmax", "ymax")),
        )
        for thing in found
    ]


@pytest.fixture(scope="module")
def yolos(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"path:{tiny_yolos(tmp_path_factory.mktemp('models') / 'yolos')}"


@pytest.mark.parametrize("write", [tiny_yolos, tiny_detr])
def test_a_batch_finds_what_transformers_finds_in_each_picture(write: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    for picture, result in zip(PICTURES, detect(*(request(f"path:{folder}", p) for p in PICTURES)), strict=True):
        right = found_by_transformers(folder, Image.open(io.BytesIO(picture)))
        assert len(right) == result.found > 3
        assert seen(result) == right


def test_torchvision_with_its_own_transforms_and_categories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are random here, put where torchvision's download would have put them."""
    import torch
    from torchvision.models import detection

    weights = detection.SSDLite320_MobileNet_V3_Large_Weights.DEFAULT
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.manual_seed(0)
    model = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    torch.save(model.state_dict(), checkpoints / weights.url.rsplit("/", 1)[1])
    for name in ("ssdlite320_mobilenet_v3_large", "SSDLite320_MobileNet_V3_Large_Weights.COCO_V1"):
        (result,) = detect(request(f"torchvision:{name}"), max_boxes=300)
        with torch.inference_mode():
            (right,) = model([weights.transforms()(Image.open(io.BytesIO(PICTURES[0])))])
        categories = weights.meta["categories"]
        expected = [(categories[i], score) for i, score in zip(right["labels"], right["scores"].tolist(), strict=True)]
        found = [(box.label, box.score) for box in result.boxes]
        assert found == [(label, pytest.approx(score)) for label, score in expected if score >= 0.01]
        assert len(found) > 3
        assert result.model == "ssdlite320_mobilenet_v3_large@COCO_V1"


def test_only_what_is_sure_enough_the_surest_first_and_not_too_many(yolos: str) -> None:
    every, some = detect(request(yolos), request(yolos, confidence=90))
    scores = [box.score for box in every.boxes]
    assert scores == sorted(scores, reverse=True)
    assert [box.score for box in some.boxes] == [score for score in scores if score >= 0.9]
    assert 0 < len(some.boxes) < len(scores)
    (few,) = detect(request(yolos), max_boxes=3)
    assert (seen(few), few.found) == (seen(every)[:3], len(scores))


def test_boxes_count_in_pixels_of_the_upright_picture_however_large(yolos: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = photo(4096, 2048, exif=exif)
    (result,) = detect(request(yolos, picture))
    assert (result.width, result.height) == (2048, 4096)
    smaller = Image.open(io.BytesIO(picture))
    smaller.thumbnail((2048, 2048))
    assert seen(result) == found_by_transformers(Path(yolos.removeprefix("path:")), smaller, scale=2)
    with Image.open(io.BytesIO(result.drawn)) as drawn:
        assert (drawn.format, drawn.size) == ("JPEG", (1024, 2048))


@pytest.mark.parametrize(
    ("image", "complaint"),
    [(b"no picture", "no picture that can be read"), (photo(300, 2), "too narrow")],
)
def test_a_bad_picture_fails_alone(yolos: str, image: bytes, complaint: str) -> None:
    bad, good = detect(request(yolos, image), request(yolos))
    assert complaint in str(bad)
    assert good.boxes


@pytest.mark.parametrize("confidence", [0, 100])
def test_a_confidence_is_per_cent(confidence: int) -> None:
    with pytest.raises(BadInput, match="from 1 to 99"):
        request("path:x", confidence=confidence)


@pytest.mark.parametrize("name", ["resnet50", "ResNet50_Weights.IMAGENET1K_V2"])
def test_a_classifier_is_refused_before_it_is_fetched(name: str) -> None:
    with pytest.raises(ModelUnavailable) as error:
        find_model(f"torchvision:{name}", model_filter=DetectPipeline.model_filter)
    assert "It is for image-classification, but the command takes" in error.value.values["hint"]


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path / "vit")
    with pytest.raises(ModelUnavailable) as error:
        find_model(f"path:{folder}", model_filter=DetectPipeline.model_filter)
    assert "It is ViTForImageClassification, but the command takes object detection" in error.value.values["hint"]
    assert not DetectPipeline.model_filter.matches("OwlViTForObjectDetection")
