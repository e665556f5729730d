"""Name what a picture shows with an image-classification model of transformers or torchvision."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.errors import BadInput
from bot.inference.accepts import FOLDERS, Accepts
from bot.inference.builders import load_builder
from bot.inference.device import Device
from bot.inference.examples import pictures
from bot.inference.hub import ModelFiles
from bot.inference.images import decode_image
from bot.inference.picture_task import PictureRequest, PictureSettings, thumbnail
from bot.inference.pipeline import Answers, Context, Loaded, Pipeline, Result
from bot.inference.precision import Probe, fit
from bot.inference.settings import References
from bot.inference.torchhub import load_hub_classifier

MAX_TOP = 20
_ACCEPTS = Accepts(
    "image classification models (…ForImageClassification, torchvision's or PyTorch Hub's)",
    re.compile(r"\w+ForImageClassification(WithTeacher)?").fullmatch,
    FOLDERS | {"torchvision", "torchhub"},
    tag="image-classification",
)
_MOST_ON_CPU = 8
"""Pictures of one forward pass: the activations of more don't fit into a processor's cache (ResNet-50, 16: -15 %)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyRequest(PictureRequest):
    """Ask for the `top` best labels of a picture."""

    top: int = 5

    def __post_init__(self) -> None:
        PictureRequest.__post_init__(self)
        if not 1 <= self.top <= MAX_TOP:
            raise BadInput("Ask for 1 to {most} labels.", most=MAX_TOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Name one label and its probability."""

    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyResult(Result):
    """Tell the best labels, best first.

    `width` and `height` are the picture's, in pixels; `thumbnail` is a small PNG file of it.
    """

    labels: tuple[Label, ...]
    width: int
    height: int
    thumbnail: bytes = b""


class ClassifySettings(PictureSettings):
    """Set up /classify."""

    models: References = ("bundled:efficientnet-lite0",)


class ClassifyPipeline(Pipeline):
    """Classify batches of pictures."""

    accepts = _ACCEPTS

    def __init__(self, settings: ClassifySettings) -> None:
        self._settings = settings

    def prepare(self, request: ClassifyRequest, loaded: Loaded) -> _Picture | None:
        """Return the pixels of a picture; raise BadInput when it isn't one."""
        classifier: _ImageClassifier | None = loaded(request.model)
        if classifier is None:
            return None
        return classifier.prepare(decode_image(request.image, max_pixels=self._settings.max_pixels), request.top)

    def run(self, requests: Sequence[ClassifyRequest], context: Context) -> Iterator[Answers]:
        """Yield a ClassifyResult for each request, or BadInput for one that is no picture."""
        classifier: _ImageClassifier = context.load(requests[0].model, load_classifier)
        pictures, errors = context.prepared(load_classifier)
        yield errors
        places = list(pictures)
        most = _MOST_ON_CPU if context.device.name == "cpu" else max(len(places), 1)
        for chosen in (places[start : start + most] for start in range(0, len(places), most)):
            yield dict(zip(chosen, classifier([pictures[place] for place in chosen]), strict=True))


@dataclass(frozen=True, slots=True)
class _Picture:
    """Hold what is needed of a picture: `pixels` (3, height, width) as the model takes them, the size it had."""

    pixels: Any
    size: tuple[int, int]
    thumbnail: bytes
    top: int


class _ImageClassifier:
    """Hold an image-classification model, its preprocessing (a PIL image to a tensor) and its labels."""

    def __init__(
        self, model: Any, preprocess: Callable[[Any], Any], labels: list[str], shown: str, device: Device
    ) -> None:
        import torch

        # Convolutions are faster so: in bf16 on the CPU by a quarter.
        self.model = model.to(device.name, device.dtype, memory_format=torch.channels_last).eval()
        self._preprocess = preprocess
        self._labels = labels
        self._shown = shown
        self._device = device

    def prepare(self, image: Any, top: int) -> _Picture:
        """Return what the model needs of a picture, which may then be forgotten."""
        return _Picture(self._preprocess(image), image.size, thumbnail(image), top)

    def __call__(self, pictures: Sequence[_Picture]) -> list[ClassifyResult]:
        """Classify pictures: pixels (batch, 3, height, width) to probabilities (batch, labels)."""
        import torch

        pixels = torch.stack([picture.pixels for picture in pictures])
        with torch.inference_mode():
            logits = self._logits(self.model, pixels)
        probabilities = logits.float().softmax(-1).cpu()
        return [self._result(p, row) for p, row in zip(pictures, probabilities, strict=True)]

    def probe(self, _model: Any) -> Probe:
        """Return what classifies example pictures, to measure a precision."""
        import torch

        pixels = torch.stack([self._preprocess(image) for image in pictures()])
        return lambda model: self._logits(model, pixels)

    def _logits(self, model: Any, pixels: Any) -> Any:
        output = model(pixels.to(self._device.name, next(model.parameters()).dtype))
        return getattr(output, "logits", output)

    def _result(self, picture: _Picture, row: Any) -> ClassifyResult:
        best = row.topk(min(picture.top, len(self._labels)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        labels = tuple(Label(label=self._labels[i], score=score) for i, score in pairs)
        width, height = picture.size
        return ClassifyResult(model=self._shown, labels=labels, width=width, height=height, thumbnail=picture.thumbnail)


def load_classifier(files: ModelFiles, device: Device) -> _ImageClassifier:
    """Load a classifier from a folder in hub format or from torchvision; raise ModelUnavailable."""
    classifier = _LOADERS.get(files.reference.scheme, _load_folder)(files, device)
    classifier.model = fit(classifier.model, classifier.probe, files, device)
    return classifier


def _load_folder(files: ModelFiles, device: Device) -> _ImageClassifier:
    """Load a classifier of transformers."""
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    processor = AutoImageProcessor.from_pretrained(files.folder, trust_remote_code=False)
    model = AutoModelForImageClassification.from_pretrained(
        files.folder, dtype=device.dtype, use_safetensors=True, trust_remote_code=False
    )
    labels = [str(model.config.id2label[i]) for i in range(model.config.num_labels)]

    def preprocess(image: Any) -> Any:
        return processor(images=[image], return_tensors="pt")["pixel_values"][0]

    return _ImageClassifier(model, preprocess, labels, files.shown, device)


def _load_torchvision(files: ModelFiles, device: Device) -> _ImageClassifier:
    """Load torchvision's own builder with the transforms and categories of its weights."""
    return _ImageClassifier(*load_builder(files.reference, "classification"), device)


def _load_torchhub(files: ModelFiles, device: Device) -> _ImageClassifier:
    """Load a classifier of a trusted PyTorch Hub repository."""
    return _ImageClassifier(*load_hub_classifier(files.reference), files.shown, device)


_LOADERS = {"torchvision": _load_torchvision, "torchhub": _load_torchhub}
