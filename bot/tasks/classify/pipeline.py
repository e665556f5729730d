"""Name what a picture shows: with a model's own labels, or (CLIP, SigLIP) with labels that people give."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from bot.cpu.choice import Probe, fit
from bot.cpu.examples import pictures
from bot.errors import BadInput
from bot.hub.libraries.builders import load_builder
from bot.hub.model_filter import FOLDERS, ModelFilter, architectures
from bot.hub.resolve import ModelFiles
from bot.hub.torchhub import load_hub_classifier
from bot.machine.device import Device
from bot.tasks.base import Answers, Context, Loaded, Pipeline
from bot.tasks.classify.task import _NO_LABELS, ClassifyRequest, ClassifyResult, ClassifySettings, Label
from bot.tasks.images.decoder import decode
from bot.tasks.picture import thumbnail
from bot.tasks.tokenizer import load_tokenizer

_MATCHERS = "((Alt|Chinese)?CLIP|MetaClip2|Siglip)Model"
"""Models that tell how well texts fit a picture."""
_is_matcher = re.compile(_MATCHERS).fullmatch
_ACCEPTS = ModelFilter(
    "image classification models (…ForImageClassification, torchvision's, PyTorch Hub's, CLIPModel or SiglipModel)",
    re.compile(rf"{_MATCHERS}|\w+ForImageClassification(WithTeacher)?").fullmatch,
    FOLDERS | {"torchvision", "torchhub"},
    pipeline_tag="image-classification",
)
_MOST_ON_CPU = 8
"""Pictures of one forward pass: the activations of more don't fit into a processor's cache (ResNet-50, 16: -15 %)."""
_EXAMPLE_LABELS = ("a cat", "a dog", "a red car")
_OWN_LABELS = "This model has labels of its own and takes no others."


class ClassifyPipeline(Pipeline):
    """Classify batches of pictures."""

    model_filter = _ACCEPTS

    def __init__(self, settings: ClassifySettings) -> None:
        self._settings = settings

    def preprocess(self, request: ClassifyRequest, loaded: Loaded) -> _Picture | None:
        """Return the pixels of a picture; raise BadInput when it isn't one."""
        classifier: _ImageClassifier | None = loaded(request.model)
        if classifier is None:
            return None
        classifier.check(request.labels)
        decoded = decode(request.image, max_pixels=self._settings.max_pixels)
        return classifier.preprocess(decoded.image, request.top, decoded.size)

    def run(self, requests: Sequence[ClassifyRequest], context: Context) -> Iterator[Answers]:
        """Yield a ClassifyResult for each request, or BadInput for one that is no picture."""
        classifier: _ImageClassifier = context.load(requests[0].model, load_classifier)
        pictures, errors = context.preprocessed(load_classifier)
        yield errors
        places = list(pictures)
        most = _MOST_ON_CPU if context.device.name == "cpu" else max(len(places), 1)
        for chosen in (places[start : start + most] for start in range(0, len(places), most)):
            results = classifier([pictures[place] for place in chosen], requests[0].labels)
            yield dict(zip(chosen, results, strict=True))


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

    def preprocess(self, image: Any, top: int, size: tuple[int, int] | None = None) -> _Picture:
        """Return what the model needs of a PIL image, which may then be forgotten; `size` is what it had as a file."""
        return _Picture(self._preprocess(image), size or image.size, thumbnail(image), top)

    def check(self, labels: Sequence[str]) -> None:
        """Raise BadInput when labels are given."""
        if labels:
            raise BadInput(_OWN_LABELS)

    def __call__(self, pictures: Sequence[_Picture], labels: Sequence[str] = ()) -> list[ClassifyResult]:
        """Classify pictures: pixels (batch, 3, height, width) to probabilities (batch, labels)."""
        import torch

        known = labels or self._labels
        pixels = torch.stack([picture.pixels for picture in pictures])
        with torch.inference_mode():
            logits = self._logits(self.model, pixels, known)
        probabilities = self._probabilities(logits.float()).cpu()
        return [self._result(p, row, known) for p, row in zip(pictures, probabilities, strict=True)]

    def probe(self, _model: Any) -> Probe:
        """Return what classifies example pictures, to measure a precision."""
        import torch

        pixels = torch.stack([self._preprocess(image) for image in pictures()])
        return lambda model: self._logits(model, pixels, self._labels)

    def _logits(self, model: Any, pixels: Any, _labels: Sequence[str]) -> Any:
        output = model(self._placed(model, pixels))
        return getattr(output, "logits", output)

    def _placed(self, model: Any, pixels: Any) -> Any:
        numbers = (tensor.dtype for tensor in chain(model.parameters(), model.buffers()))  # packed weights are buffers
        return pixels.to(self._device.name, next(dtype for dtype in numbers if dtype.is_floating_point))

    def _probabilities(self, logits: Any) -> Any:
        return logits.softmax(-1)

    def _result(self, picture: _Picture, row: Any, known: Sequence[str]) -> ClassifyResult:
        best = row.topk(min(picture.top, len(known)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        labels = tuple(Label(label=known[i], score=score) for i, score in pairs)
        width, height = picture.size
        return ClassifyResult(model=self._shown, labels=labels, width=width, height=height, thumbnail=picture.thumbnail)


class _Matcher(_ImageClassifier):
    """Hold a model that tells how well texts fit a picture; the labels come with the request.

    `is_sigmoid`: each label is judged by itself (SigLIP). The others share their probabilities among the labels (CLIP).
    """

    def __init__(
        self, model: Any, preprocess: Callable[[Any], Any], tokenizer: Any, shown: str, device: Device
    ) -> None:
        super().__init__(model, preprocess, list(_EXAMPLE_LABELS), shown, device)
        self._tokenizer = tokenizer
        self._is_sigmoid = model.config.model_type == "siglip"

    def check(self, labels: Sequence[str]) -> None:
        """Raise BadInput when no labels are given."""
        if not labels:
            raise BadInput(_NO_LABELS)

    def _logits(self, model: Any, pixels: Any, labels: Sequence[str]) -> Any:
        tokens = self._tokens([self._sentence(label) for label in labels]).to(self._device.name)
        return model(**tokens, pixel_values=self._placed(model, pixels)).logits_per_image

    def _sentence(self, label: str) -> str:
        """Return what the model has seen in training rather than bare words; as their cards say."""
        return f"This is a photo of {label}." if self._is_sigmoid else f"a photo of {label}"

    def _tokens(self, texts: list[str]) -> Any:
        longest = self.model.config.text_config.max_position_embeddings
        padding = "max_length" if self._is_sigmoid else True  # SigLIP was trained so
        return self._tokenizer(texts, padding=padding, truncation=True, max_length=longest, return_tensors="pt")

    def _probabilities(self, logits: Any) -> Any:
        return logits.sigmoid() if self._is_sigmoid else logits.softmax(-1)


def load_classifier(files: ModelFiles, device: Device) -> _ImageClassifier:
    """Load a classifier from a folder in hub format or from torchvision; raise ModelUnavailable."""
    classifier = _LOADERS.get(files.reference.scheme, _load_folder)(files, device)
    classifier.model = fit(classifier.model, classifier.probe, files, device)
    return classifier


def _load_folder(files: ModelFiles, device: Device) -> _ImageClassifier:
    """Load a classifier of transformers."""
    from transformers import (
        AutoImageProcessor,
        AutoModelForImageClassification,
        AutoModelForZeroShotImageClassification,
    )

    processor = AutoImageProcessor.from_pretrained(files.folder, trust_remote_code=False)

    def preprocess(image: Any) -> Any:
        return processor(images=[image], return_tensors="pt")["pixel_values"][0]

    matches = any(map(_is_matcher, architectures(files.config)))
    kind: Any = AutoModelForZeroShotImageClassification if matches else AutoModelForImageClassification
    model = kind.from_pretrained(files.folder, dtype=device.dtype, use_safetensors=True, trust_remote_code=False)
    if matches:
        tokenizer = load_tokenizer(files.folder)
        return _Matcher(model, preprocess, tokenizer, files.shown, device)
    labels = [str(model.config.id2label[i]) for i in range(model.config.num_labels)]
    return _ImageClassifier(model, preprocess, labels, files.shown, device)


def _load_torchvision(files: ModelFiles, device: Device) -> _ImageClassifier:
    """Load torchvision's own builder with the transforms and categories of its weights."""
    return _ImageClassifier(*load_builder(files.reference), device)


def _load_torchhub(files: ModelFiles, device: Device) -> _ImageClassifier:
    """Load a classifier of a trusted PyTorch Hub repository."""
    return _ImageClassifier(*load_hub_classifier(files.reference), files.shown, device)


_LOADERS = {"torchvision": _load_torchvision, "torchhub": _load_torchhub}
