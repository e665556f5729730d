"""Test what the doctor says of languages that translation models don't know."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.config import parse_settings
from bot.doctor import languages
from bot.doctor.check import Check
from bot.doctor.languages import check_languages
from bot.tasks.translate.task import TRANSLATE
from tests.models.tiny_models import tiny_sentiment
from tests.models.tiny_translators import tiny_fsmt, tiny_m2m100, tiny_t5


def look(*pairs: dict[str, Any]) -> dict[str, Check]:
    settings = parse_settings({"translate": {"pairs": list(pairs)}}).of(TRANSLATE)
    return {check.name.rpartition("/")[2]: check for check in asyncio.run(check_languages(settings))}


def test_what_models_do_not_know_is_told_with_the_one_thing_to_do(tmp_path: Path) -> None:
    tiny_fsmt(tmp_path / "fsmt")
    tiny_m2m100(tmp_path / "m2m")
    tiny_sentiment(tmp_path / "mood")
    tiny_t5(tmp_path / "tuned")
    found = look(
        {"from": "en", "to": ["de", "sv"], "model": f"path:{tmp_path}/fsmt"},
        {"from": ["en", "pt"], "to": ["de", "no"], "model": f"path:{tmp_path}/m2m"},
        {"from": "en", "to": "de", "model": f"path:{tmp_path}/mood"},
        {"from": "en", "to": "pt", "model": f"path:{tmp_path}/tuned", "prefix": "to Portuguese: "},
        {"from": "pt", "to": "en", "model": f"path:{tmp_path}/tuned"},
        {"from": "en", "to": "fr", "model": "hf:org/not-here"},
    )
    assert {name: check.text for name, check in found.items()} == {
        "fsmt": "It can't translate from en to sv.",
        "tuned": "It can't translate from pt to en.",
    }
    assert {(check.state, check.advice) for check in found.values()} == {
        ("warning", "Mend its entry in [[translate.pairs]].")
    }


def test_a_prefix_that_a_model_does_not_need(tmp_path: Path) -> None:
    (found,) = look(
        {"from": "en", "to": "de", "model": f"path:{tiny_fsmt(tmp_path / 'fsmt')}", "prefix": "to German: "}
    ).values()
    assert "take prefix out of its [[translate.pairs]]" in found.text


def test_nothing_is_asked_of_models_that_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "_TELL", "raise SystemExit(1)")
    assert look({"from": "en", "to": "de", "model": "hf:org/not-here"}) == {}


@pytest.mark.parametrize(
    ("does", "limit_s", "text"),
    [("raise SystemExit(1)", 60.0, "can't be asked"), ("import time; time.sleep(60)", 0.2, "No answer")],
)
def test_a_process_that_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, limit_s: float, text: str
) -> None:
    monkeypatch.setattr(languages, "_TELL", does)
    monkeypatch.setattr(languages, "_LIMIT_S", limit_s)
    (found,) = look({"from": "en", "to": "sv", "model": f"path:{tiny_fsmt(tmp_path / 'fsmt')}"}).values()
    assert text in found.text
