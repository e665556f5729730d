"""Make the models and pictures that are measured with: of full size, with random weights, since speed doesn't ask."""

from __future__ import annotations

import base64
import io
import random
from pathlib import Path

from bot.bundled.prepare import prepare

_PICTURE_SIZE, _COARSE_SIZE = (640, 480), (32, 24)
_INPUT_PIXELS = 224


def bundled_sentiment() -> Path:
    """Return the folder of the bundled sentiment model."""
    return prepare(["minilm-sentiment"])["minilm-sentiment"]


def distilbert(folder: Path) -> Path:
    """Write a DistilBERT of full size (66 M parameters) with the bundled model's tokenizer."""
    import torch
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertForSequenceClassification

    torch.manual_seed(0)
    DistilBertForSequenceClassification(DistilBertConfig(num_labels=2)).save_pretrained(folder)
    names = ["input_ids", "attention_mask"]
    AutoTokenizer.from_pretrained(bundled_sentiment(), model_input_names=names).save_pretrained(folder)
    return folder


def resnet50(folder: Path) -> Path:
    """Write a ResNet-50 (25.6 M parameters) for 1,000 labels."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    ResNetForImageClassification(ResNetConfig(num_labels=1_000)).save_pretrained(folder)
    ViTImageProcessor(size={"height": _INPUT_PIXELS, "width": _INPUT_PIXELS}).save_pretrained(folder)
    return folder


def pictures(count: int) -> list[str]:
    """Return JPEG files of soft coloured patches, 640 by 480 pixels, in base64."""
    from PIL import Image

    chooser = random.Random(0)
    files = []
    for _ in range(count):
        coarse = Image.frombytes("RGB", _COARSE_SIZE, chooser.randbytes(3 * _COARSE_SIZE[0] * _COARSE_SIZE[1]))
        file = io.BytesIO()
        coarse.resize(_PICTURE_SIZE, Image.Resampling.BICUBIC).save(file, "JPEG")
        files.append(base64.b64encode(file.getvalue()).decode())
    return files
