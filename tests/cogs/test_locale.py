"""Test that each person is spoken to in the language of their Discord."""

from __future__ import annotations

import gettext
from typing import Any

import pytest
from simcord import ChannelHandle, Env, MemberActor

from tests.fakes import seen
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import buttons, embed, message, private_text, public_text


class _Marked(gettext.NullTranslations):
    """Mark every text that goes through the catalogue."""

    def gettext(self, message: str) -> str:
        return f"pt: {message}"


@pytest.fixture(autouse=True)
def _portuguese(monkeypatch: pytest.MonkeyPatch) -> None:
    marked, plain = _Marked(), gettext.NullTranslations()
    monkeypatch.setattr("bot.i18n.texts._catalogue", lambda locale: marked if locale == "pt-BR" else plain)


async def test_refusals(alice: MemberActor, channel: ChannelHandle, asks_with: dict[str, Any]) -> None:
    asks_with["locale"] = "pt-BR"
    result = await alice.slash(channel, "sentiment", text=" ")
    assert private_text(result) == "pt: There is no text. Give some words to look at."
    asks_with["locale"] = "en-GB"
    result = await alice.slash(channel, "sentiment", text=" ")
    assert private_text(result) == "There is no text. Give some words to look at."


async def test_commands_in_the_menus_of_discord(env: Env) -> None:
    (registered,) = seen.commands(env)
    named = {command["name"]: command for command in registered}
    command, menu = named["imagine"], named["Classify image"]
    assert command["name_localizations"] == {}
    assert command["description_localizations"] == {"pt-BR": "pt: Make pictures from a prompt."}
    seed = next(option for option in command["options"] if option["name"] == "seed")
    assert seed["description_localizations"]["pt-BR"].startswith("pt: The same seed gives")
    assert menu["name_localizations"] == {"pt-BR": "pt: Classify image"}


async def test_progress_and_the_end_are_the_askers_whoever_cancels(
    alice: MemberActor,
    bob: MemberActor,
    moderator: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    asks_with: dict[str, Any],
) -> None:
    device.hold()
    asks_with["locale"] = "pt-BR"
    result = await alice.slash(channel, "imagine", prompt="a cat")
    asks_with["locale"] = "en-GB"
    await env.advance_time(1.1)
    assert public_text(result) == "pt: Running…"
    assert buttons(result) == ["pt: Cancel"]
    refused = await bob.click(message(result), label="pt: Cancel")
    assert private_text(refused) == "Only the person who asked, or a moderator, can cancel this."
    await moderator.click(message(result), label="pt: Cancel")
    assert public_text(result) == "pt: Cancelled."


async def test_a_button_answers_in_the_language_of_who_clicks(
    alice: MemberActor,
    bob: MemberActor,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    asks_with: dict[str, Any],
) -> None:
    device.hold()
    result = await alice.slash(channel, "imagine", prompt="a cat")
    await env.advance_time(1.1)
    asks_with["locale"] = "pt-BR"
    refused = await bob.click(message(result), label="Cancel")
    assert private_text(refused) == "pt: Only the person who asked, or a moderator, can cancel this."


async def test_answers(alice: MemberActor, channel: ChannelHandle, asks_with: dict[str, Any]) -> None:
    asks_with["locale"] = "pt-BR"
    shown = embed(await alice.slash(channel, "imagine", prompt="a cat", seed=7))
    assert [field.name for field in shown.fields] == [
        "pt: Seed",
        "pt: Steps",
        "pt: Guidance",
        "pt: Scheduler",
        "pt: Size",
        "pt: Time",
    ]
    shown = embed(await alice.slash(channel, "queue"))
    assert shown.title == "pt: Queue"
    shown = embed(await alice.slash(channel, "help"))
    assert "pt: Make pictures from a prompt." in (shown.description or "")
