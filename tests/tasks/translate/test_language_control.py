"""Test what each kind of translation model is given, on tiny models with real tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.errors import BadInput, ModelUnavailable
from bot.hub.resolve import find_model
from bot.machine.device import Device
from bot.tasks.translate.language_tags import by_language
from bot.tasks.translate.model_families import Prefixes, find_steering, read_steering
from bot.tasks.translate.pipeline import TranslatePipeline
from bot.tasks.translate.translator import Translator, _dtype
from tests.models import tiny_translators as tiny
from tests.models.tiny_models import tiny_sentiment
from tests.workers.line import CPU

TEXT = "The meeting starts at three."
MAKERS: dict[str, Callable[[Path], Path]] = {
    "fsmt": tiny.tiny_fsmt,
    "opus": tiny.tiny_marian,
    "opus-romance": lambda folder: tiny.tiny_marian(folder, to="ROMANCE", codes=tiny.OPUS_TO_ROMANCE),
    "opus-mul-en": lambda folder: tiny.tiny_marian(folder, source="mul", to="eng"),
    "m2m100": tiny.tiny_m2m100,
    "m2m100-cut": lambda folder: tiny.tiny_m2m100(folder, without=3),
    "nllb": tiny.tiny_nllb,
    "mbart50": tiny.tiny_mbart50,
    "mbart50-to-en": lambda folder: tiny.tiny_mbart50(folder, only_to="en_XX"),
    "mbart-en-ro": tiny.tiny_mbart,
    "madlad": tiny.tiny_madlad,
    "t5": tiny.tiny_t5,
    "t5-prefix": lambda folder: tiny.tiny_t5(folder, tasks=None, prefix="to German: "),
    "t5-for-nothing": lambda folder: tiny.tiny_t5(folder, tasks={"summarization": {"prefix": "summarize: "}}),
}


class Watched:
    """Load a tiny model, and see what goes into `generate` and comes out, as tokens."""

    def __init__(self, folder: Path, prefixes: Prefixes | None = None) -> None:
        self.translator = Translator(find_model(f"path:{folder}"), CPU, prefixes or {})
        self.tokenizer: Any = self.translator._tokenizer
        self._generate = self.translator.model.generate
        self.translator.model.generate = self._watch

    def _watch(self, **options: Any) -> Any:
        self.options = options
        output = self._generate(**options)
        self.read = self.tokenizer.convert_ids_to_tokens(options["input_ids"][0])
        self.output = output[0].tolist()
        return output

    def translate(self, source: str, to: str) -> str:
        sentences = self.translator.sentences(TEXT, source, to)
        done: dict[int, Any] = {}
        for texts in self.translator.translate({0: sentences}, 1_000, lambda _: False):
            done |= texts
        return str(done[0])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Watched]:
    loaded: dict[str, Watched] = {}

    def load(name: str) -> Watched:
        if name not in loaded:
            loaded[name] = Watched(MAKERS[name](tmp_path_factory.mktemp("models") / name))
        return loaded[name]

    return load


@pytest.mark.parametrize(
    ("name", "source", "to", "begins", "ends", "wrote"),
    [
        ("fsmt", "en", "de", [], ["</s>"], ["</s>"]),
        ("opus", "en", "pt", ["▁Th"], ["</s>"], ["<pad>"]),
        ("opus-romance", "en", "pt", [">>por<<", "▁Th"], ["</s>"], ["<pad>"]),
        ("opus-romance", "en", "fr", [">>fra<<", "▁Th"], ["</s>"], ["<pad>"]),
        ("opus-mul-en", "sw", "en", ["▁Th"], ["</s>"], ["<pad>"]),
        ("m2m100", "en", "pt", ["__en__", "▁Th"], ["</s>"], ["</s>", "__pt__"]),
        ("m2m100", "pt", "no", ["__pt__", "▁Th"], ["</s>"], ["</s>", "__no__"]),
        ("nllb", "en", "pt", ["eng_Latn", "▁", "T"], ["</s>"], ["</s>", "por_Latn"]),
        ("nllb", "no", "zh", ["nob_Latn", "▁", "T"], ["</s>"], ["</s>", "zho_Hans"]),
        ("nllb", "zh_Hant", "zh", ["zho_Hant", "▁", "T"], ["</s>"], ["</s>", "zho_Hans"]),
        ("nllb", "en", "zh_Hant", ["eng_Latn", "▁", "T"], ["</s>"], ["</s>", "zho_Hant"]),
        ("nllb", "fa", "sr", ["pes_Arab", "▁", "T"], ["</s>"], ["</s>", "srp_Cyrl"]),
        ("mbart50", "en", "pt", ["en_XX", "▁Th"], ["</s>"], ["</s>", "pt_XX"]),
        ("mbart50-to-en", "pt", "en", ["pt_XX", "▁Th"], ["</s>"], ["</s>", "en_XX"]),
        ("mbart-en-ro", "en", "ro", ["▁Th"], ["</s>", "en_XX"], ["ro_RO"]),
        ("madlad", "en", "de", ["▁", "<2de>", "▁Th"], ["</s>"], ["<pad>"]),
        ("madlad", "fr", "sr", ["▁", "<2sr>", "▁Th"], ["</s>"], ["<pad>"]),
    ],
)
def test_the_tokens_of_the_languages(
    watched: Callable[[str], Watched],
    name: str,
    source: str,
    to: str,
    begins: list[str],
    ends: list[str],
    wrote: list[str],
) -> None:
    model = watched(name)
    text = model.translate(source, to)
    assert model.read[: len(begins)] == begins
    assert model.read[-len(ends) :] == ends
    assert model.tokenizer.convert_ids_to_tokens(model.output[: len(wrote)]) == wrote
    assert text == model.tokenizer.decode(model.output[len(wrote) :], skip_special_tokens=True).strip()


@pytest.mark.parametrize(
    ("name", "to", "place"),
    [("nllb", "pt", 0), ("mbart-en-ro", "ro", -1), ("opus-romance", "pt", 0), ("fsmt", "de", -1)],
)
def test_what_is_too_long_is_cut_without_losing_the_language(
    watched: Callable[[str], Watched], name: str, to: str, place: int
) -> None:
    model = watched(name).translator
    short, long = (model.sentences(text, "en", to).tokens[text] for text in (TEXT, "and so on " * 50 + "on"))
    assert len(long) == tiny.SMALL["max_position_embeddings"]
    assert long[place] == short[place]


@pytest.mark.parametrize(("name", "prefix"), [("t5", "translate English to German: "), ("t5-prefix", "to German: ")])
def test_the_prefix_of_a_task(watched: Callable[[str], Watched], name: str, prefix: str) -> None:
    model = watched(name)
    model.translate("en", "de")
    assert model.read == model.tokenizer.convert_ids_to_tokens(model.tokenizer(prefix + TEXT)["input_ids"])
    assert model.options.get("num_beams") == (4 if name == "t5" else None)


def test_the_search_of_the_models_own_configuration(watched: Callable[[str], Watched]) -> None:
    """Fairseq's own search for wmt19 had five beams; the Hub's configuration says so, and nothing overrides it."""
    model = watched("fsmt")
    model.translate("en", "de")
    assert model.translator.model.generation_config.num_beams == 5
    assert "num_beams" not in model.options


@pytest.mark.parametrize(
    ("name", "source", "to"),
    [
        ("fsmt", "en", "fr"),
        ("fsmt", "de", "en"),
        ("opus", "pt", "en"),
        ("opus-romance", "en", "de"),
        ("opus-romance", "de", "pt"),
        ("opus-mul-en", "en", "sw"),
        ("m2m100", "en", "eo"),
        ("m2m100", "eo", "en"),
        ("m2m100-cut", "en", "zu"),
        ("nllb", "en", "tok"),
        ("mbart50", "en", "hu"),
        ("mbart50-to-en", "en", "pt"),
        ("mbart-en-ro", "en", "de"),
        ("madlad", "en", "fr"),
        ("t5", "de", "en"),
        ("t5-for-nothing", "en", "de"),
    ],
)
def test_a_language_that_a_model_does_not_know(
    watched: Callable[[str], Watched], name: str, source: str, to: str
) -> None:
    with pytest.raises(BadInput, match=f"The model {name} can't translate from .+ into .+ Choose another"):
        watched(name).translate(source, to)


def test_what_is_measured_is_steered_too(watched: Callable[[str], Watched]) -> None:
    """Precisions are compared on what the model really does."""
    for name in ("m2m100", "t5", "madlad", "t5-for-nothing"):
        model = watched(name).translator
        assert model._probe(model.model)(model.model).shape[0] == 6


def test_a_tokenizer_without_a_place_for_the_language(watched: Callable[[str], Watched]) -> None:
    model = watched("nllb")
    plain = type("Plain", (), {"all_special_tokens": ["eng_Latn"], "convert_tokens_to_ids": lambda *_: 5})()
    with pytest.raises(ValueError, match="no place for the language"):
        find_steering(model.translator.model, plain, {}, {})


@pytest.mark.parametrize("name", MAKERS)
def test_a_model_is_told_its_languages_the_same_without_its_weights(
    watched: Callable[[str], Watched], tmp_path: Path, name: str
) -> None:
    assert read_steering(MAKERS[name](tmp_path / name), {}) == watched(name).translator.steering


def test_the_host_says_what_a_t5_model_reads(tmp_path: Path) -> None:
    folder = MAKERS["t5-for-nothing"](tmp_path / "tuned")
    prefix = "say in Portuguese: "
    prefixes = {("en", "pt"): prefix}
    model = Watched(folder, prefixes)
    model.translate("en", "pt")
    assert model.read == model.tokenizer.convert_ids_to_tokens(model.tokenizer(prefix + TEXT)["input_ids"])
    with pytest.raises(BadInput):
        model.translate("pt", "en")
    other = Watched(MAKERS["t5"](tmp_path / "t5"), prefixes).translator.steering
    assert [other.way(*way) is not None for way in (("en", "pt"), ("en", "de"), ("en", "ro"))] == [True, True, False]


@pytest.mark.parametrize("name", ["madlad", "opus"])
def test_models_that_need_no_prefix_refuse_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="take prefix out of its"):
        read_steering(MAKERS[name](tmp_path / name), {("en", "pt"): "to Portuguese: "})


@pytest.mark.parametrize(
    ("name", "capability", "dtype"),
    [("madlad", (8, 0), "bfloat16"), ("madlad", (7, 5), "float32"), ("opus", (8, 0), "float16")],
)
def test_t5_never_computes_in_fp16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, capability: tuple[int, int], dtype: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    files = find_model(f"path:{MAKERS[name](tmp_path / name)}")
    assert str(_dtype(files, Device("cuda:0"))) == f"torch.{dtype}"
    assert _dtype(files, CPU) is torch.float32


def test_one_tag_of_several() -> None:
    tags = ["zho_Hant", "zho_Hans", "srp_Latn", "pt_BR", "pt", "prs_Arab", "pes_Arab", "pob", "nob_Latn", "cmn_Latn"]
    assert by_language(tags) == {
        "zh": "zho_Hans", "zh_Hant": "zho_Hant", "zh_Latn": "cmn_Latn", "sr": "srp_Latn", "sr_Latn": "srp_Latn",
        "pt": "pt", "fa": "pes_Arab", "fa_AF": "prs_Arab", "no": "nob_Latn",
    }  # fmt: skip


def test_models_that_are_no_translators_are_refused_before_they_are_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable) as refused:
        find_model(f"path:{tiny_sentiment(tmp_path / 'mood')}", model_filter=TranslatePipeline.model_filter)
    assert "It is BertForSequenceClassification, but the command takes translation models" in str(
        refused.value.values["hint"]
    )
