"""Find things in a picture with an object detection model of transformers or torchvision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.hub.access import model_unavailable
from bot.hub.libraries.builders import load_builder
from bot.hub.libraries.class_names import mapped_classes
from bot.hub.model_filter import FOLDERS, ModelFilter
from bot.hub.resolve import ModelFiles
from bot.machine.device import Device
from bot.tasks.base import Answers, Context, Loaded, Pipeline
from bot.tasks.detect.draw_boxes import Box, draw_boxes
from bot.tasks.detect.task import DetectRequest, DetectResult, DetectSettings
from bot.tasks.images.decoder import decode

_KNOWN = "MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES"


def _is_detector(architecture: str) -> bool:
    return architecture in mapped_classes("transformers", "models/auto/modeling_auto.py", _KNOWN)


_ACCEPTS = ModelFilter(
    "object detection models (DetrForObjectDetection, RTDetrForObjectDetection, …, or torchvision's)",
    _is_detector,
    FOLDERS | {"torchvision"},
    pipeline_tag="object-detection",
)


class DetectPipeline(Pipeline):
    """Find things in batches of pictures."""

    model_filter = _ACCEPTS

    def __init__(self, settings: DetectSettings) -> None:
        self._settings = settings

    def preprocess(self, request: DetectRequest, loaded: Loaded) -> _Picture:  # noqa: ARG002
        """Return a picture, no larger than it is drawn; raise BadInput when it isn't one."""
        decoded = decode(request.image, max_pixels=self._settings.max_pixels)
        return _Picture(decoded.image, decoded.size)

    def run(self, requests: Sequence[DetectRequest], context: Context) -> Iterator[Answers]:
        """Yield a DetectResult for each request, or BadInput for one that is no picture."""
        detector: _Detector = context.load(requests[0].model, load_detector)
        pictures, errors = context.preprocessed(load_detector)
        yield errors
        for group in _of_one_size(pictures):
            for index, boxes in zip(group, detector([pictures[index] for index in group]), strict=True):
                yield {index: self._result(requests[index], pictures[index], boxes, detector.shown)}

    def _result(self, request: DetectRequest, picture: _Picture, boxes: list[Box], shown: str) -> DetectResult:
        found = [box for box in boxes if box.score >= request.confidence / 100]
        kept = tuple(sorted(found, key=lambda box: -box.score)[: self._settings.max_boxes])
        width, height = picture.size
        drawn = draw_boxes(picture.image, kept, picture.size) if kept else b""
        return DetectResult(model=shown, boxes=kept, found=len(found), width=width, height=height, drawn=drawn)


@dataclass(frozen=True, slots=True)
class _Picture:
    """Hold a PIL image as it is drawn and looked at, and the size that it had."""

    image: Any
    size: tuple[int, int]


def _of_one_size(pictures: Mapping[int, _Picture]) -> list[list[int]]:
    """Divide pictures into those that can be looked at together: padding would change what is found."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, picture in pictures.items():
        groups[picture.image.size].append(index)
    return list(groups.values())


Find = Callable[[list[Any]], list[Mapping[str, Any]]]
"""Look at PIL images of one size; return for each the `scores` (n), `labels` (n) and `boxes` (n, 4) that were found."""


class _Detector:
    """Hold an object detection model and its labels."""

    def __init__(self, model: Any, find: Find, labels: Mapping[int, str], shown: str) -> None:
        self.model = model
        self.shown = shown
        self._find = find
        self._labels = labels

    def __call__(self, pictures: Sequence[_Picture]) -> list[list[Box]]:
        """Return what is in each of some pictures of one size."""
        import torch

        with torch.inference_mode():
            found = self._find([picture.image for picture in pictures])
        return [self._boxes(one, picture) for one, picture in zip(found, pictures, strict=True)]

    def _boxes(self, found: Mapping[str, Any], picture: _Picture) -> list[Box]:
        x, y = (whole / seen for whole, seen in zip(picture.size, picture.image.size, strict=True))
        rows = zip(found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist(), strict=True)
        return [
            Box(
                label=self._labels.get(label, str(label)),
                score=score,
                left=left * x,
                top=top * y,
                right=right * x,
                bottom=bottom * y,
            )
            for label, score, (left, top, right, bottom) in rows
        ]


def load_detector(files: ModelFiles, device: Device) -> _Detector:
    """Load a detector from a folder in hub format or from torchvision; raise ModelUnavailable.

    It computes in fp32 everywhere: the places of boxes need its digits.
    """
    load = _load_torchvision if files.reference.scheme == "torchvision" else _load_folder
    return load(files, device)


def _load_folder(files: ModelFiles, device: Device) -> _Detector:
    """Load a detector of transformers."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    processor = AutoImageProcessor.from_pretrained(files.folder, trust_remote_code=False)
    if not hasattr(processor, "post_process_object_detection"):
        raise model_unavailable(files.reference, "It doesn't say what boxes its answers are.")
    model = AutoModelForObjectDetection.from_pretrained(
        files.folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    )
    model.to(device.name).eval()

    def find(images: list[Any]) -> list[Mapping[str, Any]]:
        outputs = model(pixel_values=processor(images=images, return_tensors="pt")["pixel_values"].to(device.name))
        sizes = [(image.height, image.width) for image in images]
        return list(processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=sizes))

    return _Detector(model, find, model.config.id2label, files.shown)


def _load_torchvision(files: ModelFiles, device: Device) -> _Detector:
    """Load torchvision's own builder with the transforms and categories of its weights."""
    model, preprocess, labels, shown = load_builder(files.reference)
    model.to(device.name).eval()

    def find(images: list[Any]) -> list[Mapping[str, Any]]:
        return list(model([preprocess(image).to(device.name) for image in images]))

    return _Detector(model, find, dict(enumerate(labels)), shown)
