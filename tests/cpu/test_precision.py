"""Test how finely models compute: that answers stay, alone and in company, and that "auto" measures once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.bundled.prepare import prepare
from bot.cpu.choice import CHOICES, choose, converted, fit
from bot.cpu.int8 import quantised
from bot.cpu.int8_linear import int8_linear
from bot.cpu.remembered import FILE, Remembered
from bot.hub.resolve import ModelFiles, find_model
from bot.machine.device import Device, Precision
from bot.tasks.classify.pipeline import load_classifier
from bot.tasks.sentiment.pipeline import _TextClassifier
from bot.tasks.translate.translator import Translator
from bot.workers.model_cache import measured_bytes
from tests.bundled.test_models import SENTIMENT
from tests.models.tiny_models import tiny_classifier, tiny_sentiment

LONG = "I have two cats and a dog, and all of them sleep on the sofa whenever I want to sit there. " * 3


def cpu(precision: Any) -> Device:
    return Device("cpu", threads=1, precision=precision)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUBCORD_CACHE", str(tmp_path))
    return tmp_path / FILE


@pytest.fixture
def tiny(tmp_path: Path) -> ModelFiles:
    return find_model(f"path:{tiny_sentiment(tmp_path / 'tiny')}")


@pytest.fixture(scope="module", params=CHOICES)
def sentiment(request: pytest.FixtureRequest) -> Callable[[list[str]], list[Any]]:
    prepare(["minilm-sentiment"])
    model = _TextClassifier(find_model("bundled:minilm-sentiment"), cpu(request.param))
    return lambda texts: model([model.tokens(text) for text in texts])


def test_every_precision_knows_good_from_bad(sentiment: Any) -> None:
    texts = [text for text, _ in SENTIMENT]
    assert [result.label for result in sentiment(texts)] == [label for _, label in SENTIMENT]


def test_an_answer_does_not_depend_on_its_batch(sentiment: Any) -> None:
    """Within what the arithmetic allows: bf16 keeps 8 bits, int8 has a scale for each row."""
    company = sentiment([SENTIMENT[0][0], LONG, "gg", "WHAT A TERRIBLE!!! DAY :("])[0].scores
    assert company == pytest.approx(sentiment([SENTIMENT[0][0]])[0].scores, abs=0.02)


@pytest.mark.parametrize("with_bytes", [True, False])
def test_int8_computes_nearly_what_the_layer_does(monkeypatch: pytest.MonkeyPatch, with_bytes: bool) -> None:
    import torch

    if not with_bytes:
        monkeypatch.setattr("bot.cpu.int8_linear.multiplies_bytes", lambda: False)

    torch.manual_seed(0)
    for linear in (torch.nn.Linear(64, 24), torch.nn.Linear(7, 3, bias=False)):
        inputs = torch.randn(2, 5, linear.in_features)
        inputs[0, 0] = 0.0
        with torch.inference_mode():
            right, found = linear(inputs), int8_linear()(linear)(inputs)
        assert found.shape == right.shape
        assert (found - right).abs().max() < 0.02 * right.abs().max()


def test_int8_rows_do_not_touch_each_other() -> None:
    import torch

    layer = int8_linear()(torch.nn.Linear(64, 24))
    rows = torch.randn(8, 64)
    alone = layer(rows[:1])
    rows[1:] *= 1_000
    assert torch.equal(layer(rows)[:1], alone)


def test_int8_takes_a_quarter_of_the_memory_and_is_counted() -> None:
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(1_000, 1_000), torch.nn.LayerNorm(1_000))
    assert measured_bytes(quantised(model)) == 1_000_000 + 2 * 4_000 + 2 * 4_000
    assert quantised(model)[1].weight is model[1].weight
    assert measured_bytes(converted(model, "bf16")) * 2 == measured_bytes(model) == 4_012_000


@pytest.mark.parametrize("precision", CHOICES)
def test_pictures_in_every_precision(tmp_path: Path, precision: Precision) -> None:
    from PIL import Image

    files = find_model(f"path:{tiny_classifier(tmp_path / 'tiny')}")
    right, found = (load_classifier(files, cpu(p)) for p in ("fp32", precision))
    picture = Image.new("RGB", (40, 30), "red")
    (expected,), (result,) = (c([c.preprocess(picture, 3)]) for c in (right, found))
    assert {x.label: x.score for x in result.labels} == pytest.approx(
        {x.label: x.score for x in expected.labels}, abs=0.01
    )


@pytest.mark.parametrize("precision", CHOICES)
@pytest.mark.usefixtures("bergamot")
def test_translation_in_every_precision(precision: Precision) -> None:
    translator = Translator(find_model("bundled:bergamot-pt-en"), cpu(precision), {})
    tokens = translator._tokenizer("Eu gosto de café.", return_tensors="pt")
    output = translator.model.generate(**tokens, max_new_tokens=20, max_length=None)
    assert translator._tokenizer.decode(output[0], skip_special_tokens=True) == "I like coffee."


class Timed:
    """Probe a model, which takes as long as a test says on a clock of its own, and count."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = {"fp32": 0.02, "bf16": 0.01, "int8": 0.005}
        self.calls = 0
        self.now = 0.0
        clock = SimpleNamespace(process_time=lambda: self.now, monotonic=lambda: self.now)
        monkeypatch.setattr("bot.cpu.choice.time", clock)

    def __call__(self, _model: Any) -> Callable[[Any], Any]:
        return self._probe

    def _probe(self, model: Any) -> Any:
        import torch

        self.calls += 1
        dtype = next(model.parameters(), torch.zeros(0)).dtype
        kind = "int8" if "Int8" in str(model) else "bf16" if dtype == torch.bfloat16 else "fp32"
        self.now += self.seconds[kind]
        return model(torch.ones(2, 8, dtype=dtype))


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Timed:
    return Timed(monkeypatch)


def model_of(*weights: float) -> Any:
    import torch

    torch.manual_seed(0)
    linear = torch.nn.Linear(8, 3)
    linear.weight.data[0, : len(weights)] = torch.tensor(weights)
    return torch.nn.Sequential(linear)


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({"fp32": 0.02, "bf16": 0.01, "int8": 0.005}, "int8"),
        ({"fp32": 0.02, "bf16": 0.005, "int8": 0.01}, "bf16"),
        ({"fp32": 0.005, "bf16": 0.02, "int8": 0.02}, "fp32"),
        ({"fp32": 0.02, "bf16": 0.0195, "int8": 0.04}, "fp32"),
    ],
)
def test_auto_takes_what_is_clearly_fastest(timed: Timed, seconds: dict[str, float], best: str) -> None:
    timed.seconds = seconds
    assert choose(model_of(), timed(None)) == best


def test_auto_stops_measuring_when_its_time_is_over(timed: Timed) -> None:
    timed.seconds = {"fp32": 2.0, "bf16": 1.0, "int8": 5.0}
    assert choose(model_of(), timed(None)) == "bf16"
    assert timed.calls == 3


def test_auto_keeps_the_answers(timed: Timed) -> None:
    """Two huge weights that cancel each other out leave the others of their row no bits in int8."""
    model = model_of(1e4, -1e4, 2.0, 2.0, 2.0)
    assert choose(model, timed(None)) == "bf16"


def test_auto_passes_over_what_can_not_run() -> None:
    def probe(model: Any) -> Any:
        import torch

        return model(torch.ones(2, 8))  # float32 rows don't fit bf16 weights

    assert choose(model_of(), probe) in ("fp32", "int8")


def test_auto_measures_once(cache: Path, tiny: ModelFiles, timed: Timed) -> None:
    first = fit(model_of(), timed, tiny, cpu("auto"))
    assert timed.calls > 3
    timed.calls = 0
    again = fit(model_of(), timed, tiny, cpu("auto"))
    assert timed.calls == 0
    assert str(first) == str(again)
    assert "Int8Linear" in str(again)
    (key,) = json.loads(cache.read_text())
    assert "tiny" in key


def test_a_changed_model_is_measured_anew(cache: Path, tiny: ModelFiles, timed: Timed) -> None:
    fit(model_of(), timed, tiny, cpu("auto"))
    timed.calls = 0
    tiny_sentiment(Path(tiny.reference.name))
    fit(model_of(), timed, tiny, cpu("auto"))
    assert timed.calls > 0
    assert len(json.loads(cache.read_text())) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"key": "int4"}', b'{"key": ["int8"]}'])
def test_a_bad_file_is_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "folder" / FILE
    path.parent.mkdir()
    path.write_bytes(content)
    remembered = Remembered(path)
    assert remembered.get("key") is None
    remembered.put("key", "int8")
    assert Remembered(path).get("key") == "int8"
    assert [file.name for file in path.parent.iterdir()] == [FILE]


def test_a_folder_that_can_not_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    remembered = Remembered(tmp_path / "file" / FILE)
    remembered.put("key", "int8")
    assert remembered.get("key") is None


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_chosen_precision_is_not_measured(cache: Path, tiny: ModelFiles, timed: Timed, precision: Precision) -> None:
    fit(model_of(), timed, tiny, cpu(precision))
    assert timed.calls == 0
    assert not cache.exists()


@pytest.mark.parametrize(
    ("precision", "capability", "dtype"),
    [
        ("auto", (9, 0), "float16"),
        ("int8", (9, 0), "float16"),
        ("fp32", (7, 5), "float32"),
        ("bf16", (8, 0), "bfloat16"),
        ("bf16", (7, 5), "float16"),
    ],
)
def test_what_a_gpu_takes(
    monkeypatch: pytest.MonkeyPatch, precision: Precision, capability: tuple[int, int], dtype: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    device = Device("cuda:0", precision=precision)
    assert str(device.dtype) == f"torch.{dtype}"


def test_a_gpu_measures_nothing(cache: Path, tiny: ModelFiles, timed: Timed) -> None:
    model = model_of()
    assert fit(model, timed, tiny, Device("cuda:0", precision="int8")) is model
    assert (timed.calls, cache.exists()) == (0, False)
