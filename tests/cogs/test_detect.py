"""Test /detect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.tasks.detect.draw_boxes import Box
from bot.tasks.detect.task import DetectRequest, DetectResult
from bot.tasks.detect.view import detect_answer
from tests.fakes.answers import png
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import as_read, commands, description, embed, message, private_text

PICTURE = ("street.png", png(4, 4))
CONFIG = {"detect": {"models": ["path:models/street", "torchvision:ssd300_vgg16"], "max_bytes": 1_000}}


@pytest.fixture
def config() -> dict[str, Any]:
    return CONFIG


async def test_finds_and_counts(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    result = await alice.slash(channel, "detect", image=PICTURE)
    shown = embed(result)
    assert shown.title == "2 × dog, 1 × person"
    assert shown.description is None
    assert shown.footer.text == "fake@1 · 320×240"
    (file,) = message(result).attachments
    assert (file.filename, file.description) == ("found.jpg", "2 × dog, 1 × person")
    assert shown.image.url in (file.url, "attachment://found.jpg")
    assert await file.read() == png(8, 8)
    assert device.requests == [DetectRequest(model="path:models/street", image=PICTURE[1], confidence=50)]


async def test_a_lower_confidence_finds_more(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "detect", image=PICTURE, confidence=10, model="ssd300_vgg16")
    assert as_read(embed(result).title or "") == ("2 × dog, 1 × person, 1 × remote_control", "")


async def test_nothing_found_says_what_may_help(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "detect", image=PICTURE, confidence=95)
    assert embed(result).title == "Nothing found"
    assert description(result) == (
        "There is nothing that the model is at least 95 % sure of. A lower confidence may find more."
    )
    assert not message(result).attachments


async def test_a_picture_behind_a_spoiler_stays_there(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "detect", image=("SPOILER_street.png", png(4, 4)))
    (file,) = message(result).attachments
    assert file.is_spoiler()
    assert embed(result).image.url is None


async def test_a_large_file_is_refused_before_it_is_downloaded(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    result = await alice.slash(channel, "detect", image=("street.png", png(64, 64, noise=True)))
    assert private_text(result) == "This file is too large. Send a picture of at most 0 MB."
    assert not device.batches


async def test_offers_models(alice: MemberActor, channel: ChannelHandle) -> None:
    choices = await alice.autocomplete(channel, "detect", "model", "ssd")
    assert choices == [{"name": "ssd300_vgg16", "value": "ssd300_vgg16"}]


@pytest.mark.parametrize("config", [{}, {"detect": {"models": []}}], ids=["default", "empty"])
async def test_without_a_model_there_is_no_command(alice: MemberActor, channel: ChannelHandle, env: Env) -> None:
    (registered,) = commands(env)
    assert "detect" not in {command["name"] for command in registered}
    assert "/detect" not in description(await alice.slash(channel, "help"))
    assert "/detect" not in [field.name for field in embed(await alice.slash(channel, "models list")).fields]


def test_what_was_left_out_is_told_and_long_counts_fit() -> None:
    boxes = tuple(Box(label="*" * 90 + str(k), score=0.9, left=0, top=0, right=1, bottom=1) for k in range(50))
    result = DetectResult(model="m", boxes=boxes, found=87, width=1, height=1, drawn=b"jpg")
    request = DetectRequest(model="m", image=b"x", confidence=50)
    answer = detect_answer(request, result)
    assert answer.embeds[0].description == "The 50 surest of 87."
    assert len(answer.embeds[0].title or "") <= 256
    assert len(answer.files[0].description) <= 1024
    assert detect_answer(request, replace(result, found=50)).embeds[0].description is None
