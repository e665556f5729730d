"""Test batches of translations: models of many languages, and two models with English in between."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.config import parse_settings
from bot.errors import BadInput, JobCancelled
from bot.tasks.base import Failure
from bot.tasks.translate.pipeline import TranslatePipeline
from bot.tasks.translate.task import TRANSLATE, TranslateRequest, TranslateResult
from bot.tasks.translate.translator import Translator
from tests.models.tiny_translators import tiny_fsmt, tiny_m2m100
from tests.workers.line import Line, new_cache, outcomes_of

PORTUGUESE = "Bom dia, como está hoje? Eu gosto muito de café."
ENGLISH = "Good morning, how are you today? I like coffee very much."


class Bench:
    """Run batches of one configuration, and remember what each model was given."""

    def __init__(self, pairs: Sequence[tuple[Any, Any, str]], monkeypatch: pytest.MonkeyPatch) -> None:
        values = [{"from": source, "to": to, "model": model} for source, to, model in pairs]
        self.settings = parse_settings({"translate": {"pairs": values}}).of(TRANSLATE)
        self.pipeline = TranslatePipeline(self.settings)
        self.cache = new_cache()
        self.given: list[tuple[str, list[str]]] = []
        translate = Translator.translate

        def watched(translator: Translator, texts: Any, *args: Any) -> Any:
            self.given.append((translator.shown, ["".join(map(_whole, text.pieces)) for text in texts.values()]))
            return translate(translator, texts, *args)

        monkeypatch.setattr(Translator, "translate", watched)

    def ask(self, text: str, **options: Any) -> TranslateRequest:
        return self.settings.request(text, **options)

    def answers(self, *requests: TranslateRequest) -> list[Any]:
        outcomes = outcomes_of(self.pipeline, requests, cache=self.cache)
        return [outcome.error if isinstance(outcome, Failure) else outcome for outcome in outcomes]


def _whole(piece: Any) -> str:
    return str(piece.with_body(piece.body))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Bench]:
    return lambda *pairs: Bench(pairs, monkeypatch)


@pytest.fixture
def through(bench: Callable[..., Bench], bergamot: dict[str, Path], tmp_path: Path) -> Bench:
    """Translate Portuguese by a real model into English, and that by a tiny one into something."""
    assert bergamot
    return bench(("en", "de", f"path:{tiny_fsmt(tmp_path / 'en-de')}"), ("pt", "en", "bundled:bergamot-pt-en"))


def test_through_english_with_both_models_named(through: Bench) -> None:
    (answer,) = through.answers(through.ask(PORTUGUESE, to="de", source="pt"))
    assert isinstance(answer, TranslateResult)
    assert (answer.source, answer.through, answer.to, answer.detected) == ("pt", "en", "de", False)
    first, _, second = answer.model.partition(" → ")
    assert (first.partition("@")[0], second) == ("bergamot-pt-en", "en-de")
    assert [model for model, _ in through.given] == [first, second]
    (english,) = through.given[1][1]
    assert "good morning" in english.lower()
    assert "coffee" in english


def test_each_hop_is_one_batch_whatever_was_found(through: Bench) -> None:
    texts = [PORTUGUESE, ENGLISH, "Onde fica a estação de comboios? `código`", "Das ist schon Deutsch, wie du siehst."]
    *translated, german = through.answers(*(through.ask(text, to="de") for text in texts))
    assert [(answer.source, answer.through) for answer in translated] == [("pt", "en"), ("en", None), ("pt", "en")]
    assert all(answer.detected for answer in translated)
    assert isinstance(german, BadInput)
    assert "This looks like German already." in str(german)
    assert sorted(len(texts) for _, texts in through.given) == [1, 2, 2]
    assert translated[2].text.endswith("`código`")


def test_a_direct_translation_is_the_same_in_company(through: Bench) -> None:
    (alone,) = through.answers(through.ask(ENGLISH, to="de"))
    together = through.answers(*(through.ask(text, to="de") for text in (PORTUGUESE, ENGLISH)))
    assert together[1] == alone
    assert alone.model == "en-de"


def test_a_job_that_is_stopped_between_the_models(through: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Line, "cancelled", lambda _, job_id: job_id == "0" and len(through.given) > 1)
    stopped, other = through.answers(*(through.ask(PORTUGUESE, to="de", source="pt") for _ in range(2)))
    assert isinstance(stopped, JobCancelled)
    assert isinstance(other, TranslateResult)


def test_a_second_model_that_does_not_know_the_language(
    bench: Callable[..., Bench], bergamot: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = bench(("pt", "en", "bundled:bergamot-pt-en"), ("en", ["de", "sv"], f"path:{tiny_fsmt(tmp_path / 'en-de')}"))
    assert bergamot
    with caplog.at_level(logging.WARNING):
        swedish, again = wrong.answers(*(wrong.ask(text, to="sv", source="pt") for text in (PORTUGUESE, "Olá")))
    assert str(swedish) == str(again)
    assert str(swedish).startswith("The model en-de can't translate from English into Swedish.")
    assert isinstance(swedish, BadInput)
    (message,) = caplog.messages
    assert message.endswith("en-de can't translate from en to sv: take it out of [[translate.pairs]]")


def test_a_model_of_many_languages_by_name_or_not(bench: Callable[..., Bench], tmp_path: Path) -> None:
    many = bench((["en", "pt", "de"], ["en", "pt", "de", "no"], f"path:{tiny_m2m100(tmp_path / 'm2m')}"))
    answers = many.answers(*(many.ask(text, to="de") for text in (PORTUGUESE, ENGLISH)))
    assert [(answer.source, answer.through, answer.model) for answer in answers] == [
        ("pt", None, "m2m"), ("en", None, "m2m"),
    ]  # fmt: skip
    unknown = many.settings.request_of_model(ENGLISH, to="eo", source=None, model=many.settings.references[0])
    (error,) = many.answers(unknown)
    assert str(error).startswith("The model m2m can't translate from English into Esperanto.")


def test_any_model_by_name_is_asked_for_its_own_languages(bench: Callable[..., Bench], tmp_path: Path) -> None:
    """Three words deceive the detector; that the model reads English is what counts."""
    anything = bench(("pt", "en", "bundled:bergamot-pt-en"))
    model = f"path:{tiny_fsmt(tmp_path / 'en-de')}"
    texts = ("Hello my friends", PORTUGUESE, "Das ist schon Deutsch, wie du siehst.")
    asked = (anything.settings.request_of_model(text, to="de", source=None, model=model) for text in texts)
    hello, portuguese, german = anything.answers(*asked)
    assert (hello.source, hello.detected) == ("en", True)
    assert str(portuguese).startswith("This looks like Portuguese, which I can't translate into German here.")
    assert str(german).startswith("This looks like German already.")
