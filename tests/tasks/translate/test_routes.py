"""Test what languages lead to what others, by what models."""

from __future__ import annotations

from typing import Any

import pytest

from bot.config import parse_settings
from bot.errors import BadInput, ConfigError
from bot.tasks.translate.languages import (
    detect_language,
    language_code,
    language_name,
    read_language,
    varieties,
)
from bot.tasks.translate.routes import ANY, Hop, Route, choose_route
from bot.tasks.translate.task import TRANSLATE, TranslateSettings

MANY = ["en", "de", "fr", "pt", "ja"]


def pair(source: Any, to: Any, model: str) -> dict[str, Any]:
    return {"from": source, "to": to, "model": f"path:{model}"}


def translate(*pairs: dict[str, Any]) -> TranslateSettings:
    return parse_settings({"translate": {"pairs": list(pairs)}}).of(TRANSLATE)


def routes(settings: TranslateSettings, to: str, source: str | None = None) -> list[tuple[str, str, str | None]]:
    found = settings.request("x", to=to, source=source).routes
    return [(route.source, route.model.removeprefix("path:"), route.then and route.then[5:]) for route in found]


def test_through_english_where_no_model_does_it() -> None:
    settings = translate(pair("pt", "en", "pt-en"), pair("en", "de", "en-de"), pair("fr", "de", "fr-de"))
    assert routes(settings, "de") == [("en", "en-de", None), ("fr", "fr-de", None), ("pt", "pt-en", "en-de")]
    assert routes(settings, "de", "pt") == [("pt", "pt-en", "en-de")]
    assert settings.request("x", to="de", source="pt").routes[0].hops("de") == (
        Hop("pt", "en", "path:pt-en"), Hop("en", "de", "path:en-de"),
    )  # fmt: skip


def test_two_models_cost_something_else_than_the_first_one_alone() -> None:
    settings = translate(pair("pt", "en", "pt-en"), pair("en", "de", "en-de"))
    alone, both = settings.request("x", to="en"), settings.request("x", to="de", source="pt")
    assert alone.model == both.model
    assert set(alone.timing_keys).isdisjoint(both.timing_keys)


def test_the_direct_model_always_wins() -> None:
    settings = translate(pair("pt", "en", "pt-en"), pair("en", "de", "en-de"), pair("pt", "de", "pt-de"))
    assert routes(settings, "de", "pt") == [("pt", "pt-de", None)]


def test_through_no_other_language_and_never_back() -> None:
    settings = translate(pair("pt", "fr", "pt-fr"), pair("fr", "de", "fr-de"), pair(["pt", "de"], "en", "to-en"))
    with pytest.raises(BadInput, match="I can't translate from Portuguese into German here"):
        settings.request("x", to="de", source="pt")
    both = translate(pair("pt", "en", "pt-en"), pair("en", "pt", "en-pt"))
    assert routes(both, "pt") == [("en", "en-pt", None)]


def test_a_model_that_a_person_chooses_does_it_alone() -> None:
    settings = translate(pair("pt", "en", "pt-en"), pair("en", "de", "en-de"))
    with pytest.raises(BadInput, match="I know: English → German"):
        settings.request("x", to="de", source="pt", model="en-de")


def test_one_model_for_many_languages() -> None:
    settings = translate(pair("en", "de", "en-de"), pair(MANY, MANY, "m2m"))
    assert routes(settings, "de", "en") == [("en", "en-de", None)]
    assert routes(settings, "ja", "pt") == [("pt", "m2m", None)]
    assert set(settings.targets()) == set(settings.sources()) == set(MANY)
    assert settings.references == ("path:en-de", "path:m2m")
    with pytest.raises(BadInput, match="I know: English → German, 5 languages → 5 languages"):
        settings.request("x", to="sv")


def test_what_is_offered_follows_the_other_language() -> None:
    settings = translate(pair("pt", "en", "pt-en"), pair("en", ["de", "fr"], "en-x"))
    assert settings.targets() == ("en", "de", "fr")
    assert settings.targets("pt") == ("en", "de", "fr")
    assert settings.targets("en") == ("de", "fr")
    assert settings.targets("de") == ()
    assert settings.sources("de") == ("en", "pt")
    assert settings.sources("en") == ("pt",)


def test_a_way_between_the_same_language_is_none() -> None:
    settings = translate(pair(["de", "en"], ["de", "en"], "both"))
    assert routes(settings, "de") == [("en", "both", None)]


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        (pair([], "de", "x"), "translate.pairs.0.from: "),
        (pair(["en", "EN"], "de", "x"), "translate.pairs.0.from.1: string should match pattern"),
        (pair("en", 5, "x"), "translate.pairs.0.to: "),
        (pair("en", "german", "x"), "translate.pairs.0.to.0: string should match pattern"),
    ],
)
def test_mistakes_in_the_configuration(pairs: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as error:
        translate(pairs)
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("pt-BR", "pt"),
        ("por", "pt"),
        ("eng_Latn", "en"),
        ("NB", "no"),
        ("nob_Latn", "no"),
        ("zho_Hant", "zh"),
        ("tgl", "fil"),
        ("Portuguese", "pt"),
        ("acm", "acm"),
    ],
)
def test_one_code_for_each_language(text: str, code: str) -> None:
    assert read_language(text) == code


@pytest.mark.parametrize(
    ("text", "locale", "code"),
    [
        ("Deutsch", "de", "de"),
        ("portugiesisch", "de", "pt"),
        ("German", "de", "de"),
        ("Portugiesisch (Brasilien)", "de", "pt"),
        ("Portuguese (Brazil)", "en", "pt"),
        ("Chinese (Simplified)", "en-US", "zh"),
        ("Mandarin", "en", "zh"),
        ("Farsi", "fr", "fa"),
        ("中文", "zh-CN", "zh"),
        ("English", "no-such", "en"),
    ],
)
def test_names_as_the_reader_sees_them_and_as_people_say(text: str, locale: str, code: str) -> None:
    assert read_language(text, locale) == code


@pytest.mark.parametrize(
    ("tag", "codes"),
    [
        ("zh-TW", ("zh_Hant", "zh")),
        ("zh-HK", ("zh_Hant_HK", "zh_Hant", "zh")),
        ("zho_Hans", ("zh",)),
        ("zh_CN", ("zh",)),
        ("pt_XX", ("pt",)),
        ("pt-BR", ("pt",)),
        ("pt-PT", ("pt_PT", "pt")),
        ("en-US", ("en",)),
        ("es-419", ("es_419", "es")),
        ("srp_Latn", ("sr_Latn", "sr")),
        ("yue_Hant", ("yue",)),
        ("nonsense_Hant", ("nonsense",)),
    ],
)
def test_scripts_and_regions_that_are_not_the_usual_ones(tag: str, codes: tuple[str, ...]) -> None:
    assert varieties(tag) == codes


@pytest.mark.parametrize(
    ("text", "locale", "code"),
    [
        ("zh-TW", "en-US", "zh_Hant"),
        ("Traditional Chinese", "en-US", "zh_Hant"),
        ("Chinese (Traditional)", "en-US", "zh_Hant"),
        ("Chinesisch (traditionell)", "de", "zh_Hant"),
        ("繁體中文", "en-US", "zh_Hant"),
        ("Chinese", "en-US", "zh"),
        ("中文", "de", "zh"),
        ("zh-SG", "en-US", "zh"),
        ("Deutsch", "pt-BR", "de"),
        ("FRANÇAIS", "en-US", "fr"),
        ("日本語", "de", "ja"),
        ("European Portuguese", "en-US", "pt"),
    ],
)
def test_a_language_is_reached_by_any_of_its_names(text: str, locale: str, code: str) -> None:
    known = ("en", "de", "fr", "ja", "pt", "zh", "zh_Hant")
    settings = translate(pair(known, known, "nllb"))
    assert settings.request("x", to=text, source="en", locale=locale).to == code


def test_a_region_is_dropped_where_no_model_knows_it() -> None:
    settings = translate(pair("en", ["zh", "pt"], "m2m"))
    assert [settings.request("x", to=tag).to for tag in ("zh-TW", "Traditional Chinese", "pt-PT")] == ["zh", "zh", "pt"]


def test_a_text_is_taken_in_the_script_that_is_configured() -> None:
    """The detector tells none."""
    settings = translate(pair("zh_TW", "en", "zh-en"))
    assert (
        choose_route(settings.request("x", to="en").routes, "早安，你今天好嗎？我很喜歡咖啡。", "en").source
        == "zh_Hant"
    )


def test_languages_are_named_with_what_sets_them_apart() -> None:
    names = [language_name(code) for code in ("zh_Hant", "sr_Latn", "zh_Hant_HK", "ace_Arab", "x")]
    assert names == [
        "Traditional Chinese", "Serbian (Latin)", "Chinese (Traditional, Hong Kong SAR China)", "Acehnese (Arabic)",
        "x",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "(x)", "()", "Klingonisch", "Deutsch"])
def test_what_is_no_language_in_english(text: str) -> None:
    with pytest.raises(BadInput):
        read_language(text)


@pytest.mark.parametrize(("written", "code"), [("por", "pt"), ("nb", "no"), ("tl", "fil"), ("acm", "acm")])
def test_the_configuration_may_write_any_of_its_codes(written: str, code: str) -> None:
    assert translate(pair("en", written, "x")).targets() == (code,)


def test_a_model_that_tells_no_languages_makes_none_likelier() -> None:
    assert choose_route((Route(ANY, "m"),), "Hello my dear friends", "de") == Route("en", "m")
    with pytest.raises(BadInput, match="This looks like German already"):
        choose_route((Route(ANY, "m"),), "Das ist schon Deutsch, wie du siehst.", "de")


@pytest.mark.parametrize(
    ("text", "likely", "code"),
    [
        ("أحب هذا كثيرا", ("en", "pt"), "ar"),
        ("Привет мир", ("en", "pt"), "ru"),
        ("こんにちは", ("en", "pt"), "ja"),
        ("Здраво", ("en", "uk"), "uk"),
        ("mañana", ("en", "pt"), "pt"),
        ("123 😀", ("en", "pt"), "en"),
    ],
)
def test_a_short_text_is_in_no_language_of_another_script(text: str, likely: tuple[str, ...], code: str) -> None:
    assert detect_language(text, likely).code == code


def test_a_language_is_found_by_the_code_that_is_configured() -> None:
    """The detector says `no`, a host may write `nb`."""
    settings = translate(pair("nb", "en", "no-en"))
    found = detect_language("Jeg vet ikke hva du heter, og jeg bor i Oslo.", settings.sources())
    assert found.code == settings.sources()[0] == language_code("nb")
    assert settings.request("x", to="en").routes == (Route("no", "path:no-en"),)
