"""Test /describe and the menu "Describe image"."""

from __future__ import annotations

from typing import Any

import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.tasks.describe.task import DescribeRequest, DescribeResult
from tests.fakes.answers import png
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import as_read, commands, description, embed, message, private_text

PICTURE = ("cat.png", png(4, 4))
CONFIG = {"describe": {"models": ["path:models/words", "path:models/more_words"]}}


@pytest.fixture
def config() -> dict[str, Any]:
    return CONFIG


async def test_says_what_a_picture_shows(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    result = await alice.slash(channel, "describe", image=PICTURE)
    assert as_read(description(result)) == ("a *tabby* cat on a sofa", "")
    assert embed(result).footer.text == "fake@1"
    (file,) = message(result).attachments
    assert file.description == "a *tabby* cat on a sofa"
    assert device.requests == [DescribeRequest(model="path:models/words", image=PICTURE[1])]
    assert not result.ephemeral


async def test_menu_answers_the_reader_alone(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    clicked = await bob.send(channel, attachments=[("notes.txt", b"no picture"), PICTURE])
    result = await alice.context_menu(channel, "Describe image", clicked)
    assert result.ephemeral
    assert description(result).endswith("cat on a sofa")
    assert device.requests == [DescribeRequest(model="path:models/words", image=PICTURE[1])]


async def test_menu_needs_a_picture(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    clicked = await alice.send(channel, "look")
    result = await alice.context_menu(channel, "Describe image", clicked)
    assert private_text(result) == "This message has no picture."
    assert not device.batches


async def test_a_picture_behind_a_spoiler_is_not_shown(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "describe", image=("SPOILER_cat.png", png(4, 4)))
    assert not message(result).attachments


async def test_a_model_without_words(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    device.answers(DescribeResult(model="fake@1", text=""))
    result = await alice.slash(channel, "describe", image=PICTURE, model="more_words")
    assert description(result) == "The model has no words for this picture."


async def test_long_words_fit(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    device.answers(DescribeResult(model="fake@1", text="*" * 5_000, thumbnail=png(8, 8)))
    result = await alice.slash(channel, "describe", image=PICTURE)
    assert as_read(description(result)) == ("*" * 1999 + "…", "")


@pytest.mark.parametrize("config", [{}])
async def test_without_a_model_there_is_neither_command_nor_menu(env: Env) -> None:
    (registered,) = commands(env)
    assert {"describe", "Describe image"}.isdisjoint(command["name"] for command in registered)
