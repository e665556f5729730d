"""Test /imagine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from simcord import ChannelHandle, Env, MemberActor

from bot.i18n.texts import Sentence
from bot.tasks.imagine.loras import Lora
from bot.tasks.imagine.schedulers import SCHEDULERS
from bot.tasks.imagine.task import MAX_SEED, ImagineRequest, ImagineResult, Picture
from tests.fakes.answers import answer, png
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import as_read, callbacks, description, embed, message, private_text
from tests.models.bare_pipelines import BARE, bare_adapter

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
        ("Scheduler", "Euler"),
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


async def test_captions_are_the_alternative_text(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    captions = ("a *tabby* cat", "", "c" * 2_000)
    pictures = tuple(Picture(png=png(8, 8), seed=7 + k, caption=caption) for k, caption in enumerate(captions))
    device.answers(_result(pictures=pictures))
    files = message(await alice.slash(channel, "imagine", prompt="a cat", seed=7, count=3)).attachments
    assert [file.description for file in files] == [
        "a *tabby* cat",
        "A picture made by fake@1 from the prompt: a cat",
        "c" * 1023 + "…",
    ]


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
    device.answers(_result(prompt=BREAKOUT, negative=BREAKOUT, notes=(Sentence("{x}", {"x": BREAKOUT}),)))
    result = await alice.slash(channel, "imagine", prompt=BREAKOUT, negative=BREAKOUT)
    prompt, negative, note = description(result).split("\n")
    assert as_read(prompt.removeprefix("> ")) == (BREAKOUT, "")
    assert as_read(negative) == (f"Without: {BREAKOUT}", "")
    assert as_read(note.removeprefix("-# ")) == (BREAKOUT, "")
    assert "@everyone" not in description(result)


async def test_long_prompts_fit(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    long = "*" * 1000
    device.answers(_result(prompt=long, negative=long, notes=(Sentence("_" * 100),), model="m" * 3000))
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
    [("", "512×512"), ("640x4", "640×448"), ("640×4", "640×448"), ("448x6", "448×640"), (" 576", "576×448")],
)
async def test_offers_sizes(alice: MemberActor, channel: ChannelHandle, typed: str, offered: str) -> None:
    choices = await alice.autocomplete(channel, "imagine", "size", typed, prompt="a cat")
    assert choices[0] == {"name": offered, "value": offered.replace("×", "x")}


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(
    "config",
    [
        {
            "imagine": {
                "models": ["bundled:emoji-sd", "path:models/photos"],
                "defaults": [{"model": "photos", "sizes": ["1024x768"]}],
            }
        }
    ],
)
async def test_offers_the_sizes_of_the_model(alice: MemberActor, channel: ChannelHandle) -> None:
    of_default = await alice.autocomplete(channel, "imagine", "size", "", prompt="a cat")
    of_chosen = await alice.autocomplete(channel, "imagine", "size", "", prompt="a cat", model="photos")
    of_unknown = await alice.autocomplete(channel, "imagine", "size", "", prompt="a cat", model="phot")
    assert [choice["name"] for choice in of_default] == ["64×64"]
    assert [choice["name"] for choice in of_chosen] == ["1024×768"]
    assert of_unknown == of_default


LORAS = {
    "imagine": {
        "models": ["path:models/emoji", "path:models/photos"],
        "loras": [
            {"name": "pixel-art", "model": "hf:example/pixel@abc", "weight": 0.7},
            {"name": "ink", "model": "path:loras/ink.safetensors", "for": ["photos"]},
        ],
    }
}


@pytest.mark.parametrize("config", [LORAS])
async def test_adapters_by_tag_and_by_option(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    result = await alice.slash(
        channel, "imagine", prompt="a cat <lora:PIXEL-art>", lora="ink:0.5", model="photos", scheduler="DDIM", seed=7
    )
    loras = (Lora(name="ink", weight=0.5), Lora(name="pixel-art", weight=0.7))
    assert device.requests == [replace(CAT, model="path:models/photos", loras=loras, scheduler="DDIM")]
    assert description(result) == "> a cat\nWith: ink:0.5, pixel-art:0.7"
    assert ("Scheduler", "DDIM") in [(field.name, field.value) for field in embed(result).fields]


@pytest.mark.parametrize("config", [LORAS])
@pytest.mark.parametrize(
    ("typed", "model", "offered"),
    [
        ("", "emoji", ["pixel-art"]),
        ("", "photos", ["pixel-art", "ink"]),
        ("in", "photos", ["ink"]),
        ("pixel-art:0.5,in", "photos", ["pixel-art:0.5, ink"]),
        ("ink:0.5", "photos", ["ink"]),
        ("x" * 97 + ",ink", "photos", []),
    ],
)
async def test_offers_the_adapters_of_the_model(
    alice: MemberActor, channel: ChannelHandle, typed: str, model: str, offered: list[str]
) -> None:
    choices = await alice.autocomplete(channel, "imagine", "lora", typed, prompt="a cat", model=model)
    assert [choice["value"] for choice in choices] == offered


@pytest.mark.parametrize("config", [LORAS])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scheduler": "x"}, f"There is no scheduler “x”. Choose one of: {', '.join(SCHEDULERS)}."),
        ({"lora": "oil"}, "There is no adapter “oil” here. Choose one of: pixel-art, ink."),
        ({"lora": "ink:7"}, "“7” is no weight of an adapter. Use a number from -2 to 2, like 0.8."),
        ({"lora": "ink"}, "The adapter “ink” is for other models: photos."),
        ({"prompt": "<lora:pixel-art:1>"}, "There is no prompt. Say what the picture should show."),
    ],
)
async def test_adapters_that_cannot_be_used_are_refused_privately(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, env: Env, options: dict[str, str], sentence: str
) -> None:
    result = await alice.slash(channel, "imagine", **{"prompt": "a cat", "model": "emoji", **options})
    assert private_text(result) == sentence
    assert callbacks(env) == [4]
    assert not device.batches


class TestWhatFits:
    """What the model's files and an adapter's card tell is known before a job is queued."""

    @pytest.fixture
    def config(self, tmp_path: Path) -> dict[str, Any]:
        card = "---\nbase_model: stabilityai/stable-diffusion-xl-base-1.0\n---\n"
        loras = [
            {"name": "wide", "model": bare_adapter(tmp_path / "wide", card)},
            {"name": "any", "model": bare_adapter(tmp_path / "any")},
            {"name": "said", "model": bare_adapter(tmp_path / "said", card), "for": ["sd"]},
        ]
        models = [f"path:{make(tmp_path / name)}" for name, make in BARE.items()]
        return {"imagine": {"models": [*models, "path:absent"], "loras": loras}}

    @pytest.mark.parametrize(
        ("model", "offered"),
        [
            ("sd", ["any", "said"]),
            ("sdxl", ["wide", "any"]),
            ("pixart", []),
            ("absent", ["wide", "any"]),
        ],
    )
    async def test_adapters_are_offered_that_fit(
        self, alice: MemberActor, channel: ChannelHandle, model: str, offered: list[str]
    ) -> None:
        choices = await alice.autocomplete(channel, "imagine", "lora", "", prompt="a cat", model=model)
        assert [choice["value"] for choice in choices] == offered

    @pytest.mark.parametrize(
        ("model", "typed", "offered"),
        [
            ("flux", "", ["Euler"]),
            ("lcm", "", ["LCM"]),
            ("sd", "", list(SCHEDULERS)),
            ("sd", "euler", ["Euler", "Euler a"]),
            ("absent", "", list(SCHEDULERS)),
            ("flux", "DDIM", []),
        ],
    )
    async def test_schedulers_are_offered_that_fit(
        self, alice: MemberActor, channel: ChannelHandle, model: str, typed: str, offered: list[str]
    ) -> None:
        choices = await alice.autocomplete(channel, "imagine", "scheduler", typed, prompt="a cat", model=model)
        assert [choice["value"] for choice in choices] == offered

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            (
                {"model": "lcm", "scheduler": "Euler a"},
                "lcm can't work with the scheduler Euler a. Choose one of these, or none: LCM.",
            ),
            (
                {"model": "sd", "lora": "wide"},
                "The adapter “wide” doesn't fit sd. Choose another adapter or another model.",
            ),
            (
                {"model": "sd", "prompt": "a cat <lora:WIDE:0.5>"},
                "The adapter “wide” doesn't fit sd. Choose another adapter or another model.",
            ),
            ({"model": "pixart", "lora": "any"}, "pixart takes no adapters. Leave “any” out."),
            ({"model": "sdxl", "lora": "said"}, "The adapter “said” is for other models: sd."),
        ],
    )
    async def test_the_rest_is_refused_privately_and_never_queued(
        self, alice: MemberActor, channel: ChannelHandle, device: FakeDevice, env: Env, options: dict[str, str],
        sentence: str,
    ) -> None:  # fmt: skip
        result = await alice.slash(channel, "imagine", **{"prompt": "a cat", **options})
        assert private_text(result) == sentence
        assert callbacks(env) == [4]
        assert not device.batches

    @pytest.mark.parametrize("options", [{"model": "sd", "lora": "said, any"}, {"model": "absent", "lora": "wide"}])
    async def test_what_may_fit_is_queued(
        self, alice: MemberActor, channel: ChannelHandle, device: FakeDevice, options: dict[str, str]
    ) -> None:
        await alice.slash(channel, "imagine", prompt="a cat", scheduler="DDIM", **options)
        (request,) = device.requests
        assert isinstance(request, ImagineRequest)
        assert request.scheduler == "DDIM"
        assert ", ".join(sorted(lora.name for lora in request.loras)) == ", ".join(sorted(options["lora"].split(", ")))


@pytest.mark.parametrize(("guidance", "shown"), [(None, False), (0.0, True)])
async def test_guidance_that_a_model_does_not_take_is_not_shown(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, guidance: float | None, *, shown: bool
) -> None:
    device.answers(_result(guidance=guidance, scheduler=""))
    fields = [field.name for field in embed(await alice.slash(channel, "imagine", prompt="a cat")).fields]
    assert ("Guidance" in fields, "Scheduler" in fields) == (shown, False)


async def test_offers_models(alice: MemberActor, channel: ChannelHandle) -> None:
    choices = await alice.autocomplete(channel, "imagine", "model", "pho", prompt="a cat")
    assert choices == [{"name": "photos", "value": "photos"}]


async def test_works_in_direct_messages(env: Env) -> None:
    result = await env.create_user("carol").slash("imagine", prompt="a cat", seed=7)
    assert [file.filename for file in message(result).attachments] == ["picture-7.png"]
