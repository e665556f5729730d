"""Test /imagine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.inference.pipelines.imagine import MAX_SEED, ImagineRequest, ImagineResult, Picture
from tests.fakes.answers import answer, png
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import as_read, callbacks, description, embed, message, private_text

BREAKOUT = "@everyone ```x``` [a](b) [free](https://evil.example) **b** <@123456789012345678>"
CAT = ImagineRequest(model="path:models/emoji", prompt="a cat", seed=7)


def _result(**changes: Any) -> ImagineResult:
    result = answer(CAT)
    assert isinstance(result, ImagineResult)
    return replace(result, **changes)


async def test_shows_the_picture_and_what_makes_it_again(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    result = await alice.slash(
        channel, "imagine", prompt="a cat", negative="dogs", size="512x768", steps=12, guidance=3.5, seed=7
    )

    assert device.requests == [replace(CAT, negative="dogs", width=512, height=768, steps=12, guidance=3.5)]
    shown = embed(result)
    assert shown.description == "> a cat\nWithout: dogs"
    assert [(field.name, field.value) for field in shown.fields] == [
        ("Seed", "7"),
        ("Steps", "12"),
        ("Guidance", "3.5"),
        ("Size", "512×768"),
        ("Time", "1.2 s"),
    ]
    assert shown.footer.text == "fake@1"
    (file,) = message(result).attachments
    assert file.filename == "picture-7.png"
    assert file.description == "A picture made by fake@1 from the prompt: a cat"
    assert await file.read() == png(8, 8)
    assert shown.image.url == "attachment://picture-7.png"


async def test_leaves_to_the_model_what_is_left_out(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    await alice.slash(channel, "imagine", prompt="a cat")
    await alice.slash(channel, "imagine", prompt="a cat")
    first, second = device.requests
    assert isinstance(first, ImagineRequest)
    assert isinstance(second, ImagineRequest)
    assert first.seed != second.seed
    assert replace(first, seed=7) == CAT == replace(second, seed=7)


async def test_several_pictures_come_in_one_message(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "imagine", prompt="a cat", seed=7, count=3)
    files = message(result).attachments
    assert [file.filename for file in files] == ["picture-7.png", "picture-8.png", "picture-9.png"]
    assert (embed(result).fields[0].name, embed(result).fields[0].value) == ("Seeds", "7, 8, 9")
    assert embed(result).image.url is None


async def test_withheld_pictures_are_not_shown(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    pictures = (Picture(png=png(8, 8), seed=7, withheld=True), Picture(png=png(8, 8), seed=8))
    device.answers(_result(pictures=pictures))
    result = await alice.slash(channel, "imagine", prompt="a cat", seed=7, count=2)
    assert [file.filename for file in message(result).attachments] == ["picture-8.png"]
    assert "The model's safety check withheld 1 of 2 pictures." in description(result)


async def test_all_pictures_may_be_withheld(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    device.answers(_result(pictures=(Picture(png=png(8, 8), seed=7, withheld=True),)))
    result = await alice.slash(channel, "imagine", prompt="a cat", seed=7)
    assert not message(result).attachments
    assert "withheld 1 of 1" in description(result)


async def test_texts_cannot_break_out(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    device.answers(_result(prompt=BREAKOUT, negative=BREAKOUT, note=BREAKOUT))
    result = await alice.slash(channel, "imagine", prompt=BREAKOUT, negative=BREAKOUT)
    prompt, negative, note = description(result).split("\n")
    assert as_read(prompt.removeprefix("> ")) == (BREAKOUT, "")
    assert as_read(negative) == (f"Without: {BREAKOUT}", "")
    assert as_read(note.removeprefix("-# ")) == (BREAKOUT, "")
    assert "@everyone" not in description(result)


async def test_long_prompts_fit(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    long = "*" * 1000
    device.answers(_result(prompt=long, negative=long, note="_" * 100, model="m" * 3000))
    result = await alice.slash(channel, "imagine", prompt=long, negative=long)
    assert description(result).startswith("> " + "\\*" * 1000)
    assert len(message(result).attachments[0].description or "") == 1024


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"prompt": "  "}, "There is no prompt. Say what the picture should show."),
        ({"prompt": "a cat", "size": "large"}, "“large” is no size. Write width and height like 512x768."),
        ({"prompt": "a cat", "size": "100x100"}, "Width and height must be at least 64 and divisible by 8."),
        ({"prompt": "a cat", "steps": 101}, "Use at most 100 steps."),
        ({"prompt": "a cat", "count": 5}, "Ask for at most 4 pictures at a time."),
        ({"prompt": "a cat", "size": "2048x2048"}, "This size is too large. Use at most 1048576 pixels in all."),
        ({"prompt": "a cat", "model": "x"}, "There is no model “x” here. Choose one of: emoji, photos."),
    ],
)
async def test_what_cannot_be_made_is_refused_privately(
    alice: MemberActor,
    channel: ChannelHandle,
    device: FakeDevice,
    env: Env,
    options: dict[str, Any],
    sentence: str,
) -> None:
    result = await alice.slash(channel, "imagine", **options)
    assert private_text(result) == sentence
    assert callbacks(env) == [4]
    assert not device.batches


async def test_the_last_seed(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    await alice.slash(channel, "imagine", prompt="a cat", seed=MAX_SEED)
    assert device.requests == [replace(CAT, seed=MAX_SEED)]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("", "512×512"), ("512x7", "512×768"), ("512×7", "512×768"), ("1216", "1216×832"), (" 832", "832×1216")],
)
async def test_offers_sizes(alice: MemberActor, channel: ChannelHandle, typed: str, offered: str) -> None:
    choices = await alice.autocomplete(channel, "imagine", "size", typed, prompt="a cat")
    assert choices[0] == {"name": offered, "value": offered.replace("×", "x")}


async def test_offers_models(alice: MemberActor, channel: ChannelHandle) -> None:
    choices = await alice.autocomplete(channel, "imagine", "model", "pho", prompt="a cat")
    assert choices == [{"name": "photos", "value": "photos"}]


async def test_works_in_direct_messages(env: Env) -> None:
    result = await env.create_user("carol").slash("imagine", prompt="a cat", seed=7)
    assert [file.filename for file in message(result).attachments] == ["picture-7.png"]
