"""Test /translate and the menu "Translate"."""

from __future__ import annotations

from typing import Any

import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.tasks.translate.routes import Route
from bot.tasks.translate.task import TranslateRequest, TranslateResult
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import as_read, callbacks, description, embed, message, private_text

BREAKOUT = "@everyone ```x``` [a](b) [free](https://evil.example) **b** <@123456789012345678> \\<#1>"
WAYS = "I know: English → Portuguese, Portuguese → English, English → German."
FROM_ENGLISH = Route("en", "path:models/en-pt")


async def test_shows_the_translation(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    result = await alice.slash(channel, "translate", text="Good\nmorning", to="pt")

    assert device.requests == [
        TranslateRequest(model="path:models/en-pt", text="Good\nmorning", to="pt", routes=(FROM_ENGLISH,))
    ]
    shown = embed(result)
    assert shown.title == "English → Portuguese (detected)"
    assert as_read(shown.description or "") == ("> Good morning\n\n[pt] Good\nmorning", ">")
    assert shown.footer.text == "fake@1"
    assert not result.ephemeral
    assert not message(result).attachments


async def test_takes_the_source_language_as_given(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    result = await alice.slash(channel, "translate", text="Good morning", to="Portuguese", **{"from": "English"})
    assert embed(result).title == "English → Portuguese"
    (request,) = device.requests
    assert isinstance(request, TranslateRequest)
    assert not request.detect


async def test_says_that_it_went_through_english(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    result = await alice.slash(channel, "translate", text="Bom dia", to="de", **{"from": "pt"})
    shown = embed(result)
    assert shown.title == "Portuguese → German (through English)"
    assert shown.footer.text == "fake@1 → fake@1"
    (request,) = device.requests
    assert isinstance(request, TranslateRequest)
    assert request.routes == (Route("pt", "path:models/pt-en", "path:models/en-de"),)

    device.answers(TranslateResult(model="m", text="x", source="pt", to="de", detected=True, through="en"))
    result = await alice.slash(channel, "translate", text="Bom dia", to="de")
    assert embed(result).title == "Portuguese → German (detected, through English)"


async def test_texts_cannot_break_out(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    device.answers(TranslateResult(model="m", text=BREAKOUT, source="en", to="pt", detected=False))
    result = await alice.slash(channel, "translate", text=BREAKOUT, to="pt")
    original, _, translation = description(result).split("\n")
    assert as_read(original.removeprefix("> ")) == (BREAKOUT, "")
    assert as_read(translation) == (BREAKOUT, "")
    assert "@everyone" not in description(result)


async def test_what_was_hidden_stays_hidden(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "translate", text="In the end ||they\nwin||", to="pt")
    assert description(result) == "> ||In the end they win ||\n\n||[pt] In the end they\nwin ||".replace("[", "\\[")
    long = await alice.slash(channel, "translate", text="||x|| " + "x" * 5900, to="pt")
    assert description(long).count("||") == 4
    assert description(long).endswith(" ||\n\n-# The whole translation is in the file.")
    assert message(long).attachments[0].is_spoiler()


async def test_addresses_stay_as_they_are(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "translate", text="https://example.org/a_b_c", to="pt")
    assert description(result).count("https://example.org/a_b_c") == 2


@pytest.mark.parametrize("char", ["x", "*", "é", "😀"])
async def test_a_long_translation_comes_as_a_file(alice: MemberActor, channel: ChannelHandle, char: str) -> None:
    result = await alice.slash(channel, "translate", text=char * 6000, to="pt")
    assert len(description(result)) <= 4096
    assert description(result).endswith("…\n\n-# The whole translation is in the file.")
    (file,) = message(result).attachments
    assert file.filename == "translation.txt"
    assert (await file.read()).decode() == "[pt] " + char * 6000


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"text": " ", "to": "pt"}, "There is no text. Give some words to translate."),
        ({"text": "x", "to": "fr"}, f"I can't translate into French here. {WAYS}"),
        ({"text": "x", "to": "pt", "from": "de"}, f"I can't translate from German into Portuguese here. {WAYS}"),
        ({"text": "x", "to": "Kling"}, "“Kling” is no language I know. Give a code like “pt” or a name."),
    ],
)
async def test_what_cannot_be_translated_is_refused_privately(
    alice: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    options: dict[str, Any],
    sentence: str,
) -> None:
    result = await alice.slash(channel, "translate", **options)
    assert private_text(result) == sentence
    assert callbacks(env) == [4]
    assert not device.batches


async def test_a_model_that_is_not_offered_is_refused(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "translate", text="x", to="pt", model="babelfish")
    assert private_text(result) == "There is no model “babelfish” here. Choose one of: en-pt, pt-en, en-de."


async def test_a_model_for_other_languages_is_refused(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "translate", text="x", to="pt", model="en-de")
    assert private_text(result) == "I can't translate into Portuguese here. I know: English → German."


@pytest.mark.parametrize(
    ("option", "typed", "offered"),
    [
        ("to", "", [("Portuguese", "pt"), ("English", "en"), ("German", "de")]),
        ("to", "ger", [("German", "de")]),
        ("to", "DE", [("German", "de")]),
        ("to", "xyz", []),
        ("to", "deutsch", [("German", "de")]),
        ("to", "PORTUGUÊS", [("Portuguese", "pt")]),
        ("to", "de-AT", [("German", "de")]),
        ("to", "Français", []),
        ("from", "", [("English", "en"), ("Portuguese", "pt")]),
        ("model", "pt-", [("pt-en", "pt-en")]),
    ],
)
async def test_offers_languages_and_models(
    alice: MemberActor, channel: ChannelHandle, option: str, typed: str, offered: list[tuple[str, str]]
) -> None:
    choices = await alice.autocomplete(channel, "translate", option, typed, text="x")
    assert [(choice["name"], choice["value"]) for choice in choices] == offered


@pytest.mark.parametrize(
    ("option", "filled", "offered"),
    [
        ("to", {"from": "pt"}, ["en", "de"]),
        ("to", {"from": "German"}, []),
        ("to", {"from": "Kling"}, ["pt", "en", "de"]),
        ("from", {"to": "de"}, ["en", "pt"]),
        ("from", {"to": "pt"}, ["en"]),
    ],
)
async def test_offers_what_goes_with_the_other_language(
    alice: MemberActor, channel: ChannelHandle, option: str, filled: dict[str, str], offered: list[str]
) -> None:
    choices = await alice.autocomplete(channel, "translate", option, "", text="x", **filled)
    assert [choice["value"] for choice in choices] == offered


async def test_offers_languages_in_the_readers_language(
    alice: MemberActor, channel: ChannelHandle, asks_with: dict[str, Any]
) -> None:
    asks_with["locale"] = "pt-BR"
    choices = await alice.autocomplete(channel, "translate", "to", "ingl", text="x")
    assert choices == [{"name": "inglês", "value": "en"}]


async def test_takes_the_names_that_it_offers(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, asks_with: dict[str, Any]
) -> None:
    asks_with["locale"] = "pt-BR"
    await alice.slash(channel, "translate", text="Bom dia", to="Inglês", **{"from": "português"})
    (request,) = device.requests
    assert isinstance(request, TranslateRequest)
    assert (request.to, request.routes[0].source) == ("en", "pt")


async def test_menu_translates_privately_into_the_readers_language(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, device: FakeDevice, asks_with: dict[str, Any]
) -> None:
    clicked = await bob.send(channel, "Good morning")
    asks_with["locale"] = "pt-BR"
    result = await alice.context_menu(channel, "Translate", clicked)
    assert result.ephemeral
    assert message(result).ephemeral
    assert (embed(result).title or "").startswith("English → Portuguese")
    (request,) = device.requests
    assert isinstance(request, TranslateRequest)
    assert (request.text, request.to) == ("Good morning", "pt")


async def test_menu_in_a_language_without_a_model(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, env: Env, asks_with: dict[str, Any]
) -> None:
    clicked = await bob.send(channel, "Good morning")
    asks_with["locale"] = "ja"
    result = await alice.context_menu(channel, "Translate", clicked)
    assert private_text(result) == f"I can't translate into Japanese here. {WAYS}"
    assert callbacks(env) == [4]


async def test_menu_needs_text(alice: MemberActor, channel: ChannelHandle) -> None:
    clicked = await alice.send(channel, attachments=[("cat.png", b"...")])
    result = await alice.context_menu(channel, "Translate", clicked)
    assert private_text(result) == "This message has no text."


async def test_works_in_direct_messages(env: Env) -> None:
    result = await env.create_user("carol").slash("translate", text="Good morning", to="pt")
    assert embed(result).title == "English → Portuguese (detected)"
