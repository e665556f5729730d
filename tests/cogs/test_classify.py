"""Test /classify and the menu "Classify image"."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import discord
import pytest
from simcord import ChannelHandle, Env, GuildHandle, MemberActor

from bot.bot import Bot
from bot.errors import BadInput
from bot.tasks.base import Failure
from bot.tasks.classify.task import ClassifyRequest, ClassifyResult, Label
from tests.fakes.answers import png
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import as_read, callbacks, description, edits, embed, message, private_text, public_text

PICTURE = ("cat.png", png(4, 4))
NOT_READ = "Discord didn't hand over this picture. Send it again."


async def test_names_what_the_picture_shows(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    result = await alice.slash(channel, "classify", image=PICTURE, top=2)

    shown = embed(result)
    assert shown.title == "tabby cat · 50.0%"
    assert shown.description == "`██████      ` ` 50.0%` tabby cat\n`███         ` ` 25.0%` tiger cat"
    assert shown.footer.text == "fake@1 · 320×240"
    (file,) = message(result).attachments
    assert shown.thumbnail.url == file.url or shown.thumbnail.url == "attachment://picture.png"
    assert file.filename == "picture.png"
    assert file.description == "tabby cat"
    assert await file.read() == png(8, 8)
    assert device.requests == [ClassifyRequest(model="path:models/animals", image=PICTURE[1], top=2)]


async def test_a_picture_behind_a_spoiler_is_not_shown(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "classify", image=("SPOILER_cat.png", png(4, 4)))
    assert embed(result).title == "tabby cat · 50.0%"
    assert not embed(result).thumbnail
    assert message(result).attachments == []


async def test_shows_five_labels_by_default(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "classify", image=PICTURE)
    assert len(description(result).split("\n")) == 5


async def test_twenty_long_labels_fit_and_cannot_break_out(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    labels = tuple(Label(label="**[x](y)** @everyone " + "_" * 1100, score=0.05) for _ in range(20))
    device.answers(ClassifyResult(model="m" * 3000, labels=labels, width=1, height=1, thumbnail=png(1, 1)))
    result = await alice.slash(channel, "classify", image=PICTURE, top=20)
    assert len(description(result).split("\n")) == 20
    assert as_read(description(result))[1] == "````" * 20
    assert as_read(embed(result).title or "")[1] == ""
    assert "@everyone" not in description(result)


@pytest.mark.parametrize("config", [{"classify": {"max_bytes": 1_000_000}}])
async def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, downloads: list[str]
) -> None:
    result = await alice.slash(channel, "classify", image=("big.png", b"x" * 1_000_001))
    assert private_text(result) == "This file is too large. Send a picture of at most 1 MB."
    assert not downloads
    assert not device.batches
    assert callbacks(env) == [4]


@pytest.mark.parametrize("error", [aiohttp.ClientConnectionError("reset"), TimeoutError(), OSError()])
async def test_a_download_that_breaks_off_is_told_privately(
    alice: MemberActor, channel: ChannelHandle, env: Env, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def breaks(_url: str) -> bytes:
        raise error

    monkeypatch.setattr(env.bot.http, "get_from_cdn", breaks)
    result = await alice.slash(channel, "classify", image=PICTURE)
    assert private_text(result) == NOT_READ


async def test_a_download_that_hangs_is_given_up(
    alice: MemberActor, channel: ChannelHandle, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(_url: str) -> bytes:
        return await env.external_wait(asyncio.Event().wait(), reason="the CDN says nothing") and b""

    monkeypatch.setattr(env.bot.http, "get_from_cdn", hangs)
    result = await alice.slash(channel, "classify", image=PICTURE)
    assert callbacks(env) == [5]
    await env.advance_time(61)
    assert result.response is None, "the “thinking” is gone"
    assert result.followups[-1].content == NOT_READ


async def test_a_download_ends_when_discord_takes_no_answer_to_its_command(
    alice: MemberActor, channel: ChannelHandle, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def hangs(_url: str) -> bytes:
        try:
            return await env.external_wait(asyncio.Event().wait(), reason="the CDN says nothing") and b""
        finally:
            ended.set()

    monkeypatch.setattr(env.bot.http, "get_from_cdn", hangs)
    env.inject_error("POST", "/interactions/*/callback", status=404, code=10062, times=None)
    await alice.slash(channel, "classify", image=PICTURE)
    assert ended.is_set()
    assert len(env.errors) == 1


async def test_a_picture_that_is_gone_is_told_privately(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    env._register_dispatch_observer(lambda _: env.backend.cdn._blobs.clear())
    result = await alice.slash(channel, "classify", image=PICTURE)
    assert private_text(result) == NOT_READ
    assert not device.batches


async def test_an_empty_file_is_refused(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "classify", image=("cat.png", b""))
    assert private_text(result) == "This file is empty."


async def test_a_file_that_is_no_picture_is_refused(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    result = await alice.slash(channel, "classify", image=("cat.png", b"no picture"))
    assert private_text(result).startswith("This file is no picture that can be read. Send a PNG, ")
    assert not device.batches


async def test_a_picture_that_is_damaged_gets_the_workers_sentence(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    device.answers(Failure(BadInput("This picture is damaged.")))
    result = await alice.slash(channel, "classify", image=("cat.png", PICTURE[1][:20]))
    assert public_text(result) == "This picture is damaged."


async def test_a_slow_download_is_deferred_first(
    alice: MemberActor, channel: ChannelHandle, env: Env, slow: Callable[[], None]
) -> None:
    result = await alice.slash(channel, "classify", image=PICTURE)
    assert result.deferred
    assert callbacks(env) == [5]

    slow()
    await env.settle()
    assert embed(result).title == "tabby cat · 50.0%"
    assert callbacks(env) == [5]


@pytest.mark.parametrize("config", [{"queue": {"per_user": 1}}])
async def test_nothing_is_downloaded_for_who_may_have_no_more_jobs(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, downloads: list[str]
) -> None:
    device.hold()
    await alice.slash(channel, "sentiment", text="first")
    result = await alice.slash(channel, "classify", image=PICTURE)
    assert private_text(result).startswith("At most 1 of your jobs can wait")
    assert not downloads
    device.release()
    await env.settle()


@pytest.mark.parametrize("config", [{"queue": {"capacity_mb": 1}}])
async def test_pictures_are_refused_when_they_take_too_much_memory(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    device.hold()
    large = ("cat.png", PICTURE[1] + bytes(600_000))
    first = await alice.slash(channel, "classify", image=large)
    assert "no room for more pictures" in private_text(await alice.slash(channel, "classify", image=large))
    device.release()
    await env.settle()
    assert embed(first).title == "tabby cat · 50.0%"
    assert embed(await alice.slash(channel, "classify", image=large)).title == "tabby cat · 50.0%"


@pytest.mark.parametrize("config", [{"queue": {"per_user": 1}}])
async def test_a_refusal_after_a_slow_download_ends_the_thinking(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, slow: Callable[[], None]
) -> None:
    result = await alice.slash(channel, "classify", image=PICTURE)
    device.hold()
    await alice.slash(channel, "sentiment", text="first")
    slow()
    await env.settle()
    assert [shown.content for shown in channel.history()] == [""]  # the other one's
    (told,) = result.followups
    assert told.ephemeral
    assert told.content.startswith("At most 1 of your jobs can wait")


@pytest.mark.parametrize("config", [{"queue": {"per_user": 1}, "describe": {"models": ["path:models/words"]}}])
async def test_a_refusal_takes_the_place_of_a_thinking_that_nobody_else_sees(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, slow: Callable[[], None]
) -> None:
    result = await alice.context_menu(channel, "Describe image", await alice.send(channel, attachments=[PICTURE]))
    device.hold()
    await alice.slash(channel, "sentiment", text="first")
    slow()
    await env.settle()
    assert private_text(result).startswith("At most 1 of your jobs can wait")
    assert not result.followups
    assert len(edits(env)) == 1


async def test_menu_takes_the_first_picture(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    files = [("notes.txt", b"no picture"), ("one.png", png(1, 1)), ("two.png", png(2, 2))]
    clicked = await bob.send(channel, attachments=files)
    result = await alice.context_menu(channel, "Classify image", clicked)
    assert embed(result).title == "tabby cat · 50.0%"
    assert device.requests == [ClassifyRequest(model="path:models/animals", image=png(1, 1), top=5)]


async def test_menu_takes_a_picture_that_a_message_forwards(
    alice: MemberActor, bob: MemberActor, guild: GuildHandle, channel: ChannelHandle, device: FakeDevice
) -> None:
    shown = await bob.send(guild.create_text_channel("elsewhere"), attachments=[("one.png", png(1, 1))])
    await alice.context_menu(channel, "Classify image", await alice.forward(shown, channel))
    assert device.requests == [ClassifyRequest(model="path:models/animals", image=png(1, 1), top=5)]


@pytest.mark.parametrize("place", ["image", "thumbnail"])
async def test_menu_takes_the_picture_of_an_embed_from_discords_proxy(
    alice: MemberActor,
    channel: ChannelHandle,
    bot: Bot,
    device: FakeDevice,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """A picture of /imagine is in an embed, and so isn't among the attachments of its message."""

    async def read(address: str) -> bytes:
        assert address == "https://media.discordapp.net/one.png"
        return png(1, 1)

    monkeypatch.setattr(bot.http, "get_from_cdn", read)
    shown = {"url": "https://example.org/one.png", "proxy_url": "https://media.discordapp.net/one.png"}
    clicked = await bot.get_partial_messageable(channel.id).send(embed=discord.Embed.from_dict({place: shown}))
    await alice.context_menu(channel, "Classify image", clicked)
    assert device.requests == [ClassifyRequest(model="path:models/animals", image=png(1, 1), top=5)]


@pytest.mark.parametrize("files", [[], [("notes.txt", b"no picture")]])
async def test_menu_needs_a_picture(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, files: list[tuple[str, bytes]]
) -> None:
    clicked = await alice.send(channel, "look", attachments=files)
    result = await alice.context_menu(channel, "Classify image", clicked)
    assert private_text(result) == "This message has no picture."
    assert not device.batches


ZERO_SHOT = {"classify": {"models": ["path:models/animals"], "zero_shot": ["path:models/clip", "path:models/siglip"]}}


@pytest.mark.parametrize("config", [ZERO_SHOT])
async def test_labels_of_ones_own(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    labels = ("a cat", "a red car", "*", "four", "five", "six")
    result = await alice.slash(channel, "classify", image=PICTURE, labels=" a cat, a  red car,A cat,*,four,five,six,")
    assert len(description(result).split("\n")) == 6
    assert as_read(description(result).split("\n")[2])[0].endswith("*")
    await alice.slash(channel, "classify", image=PICTURE, labels="one, two", model="siglip", top=1)
    assert device.requests == [
        ClassifyRequest(model="path:models/clip", image=PICTURE[1], labels=labels, top=6),
        ClassifyRequest(model="path:models/siglip", image=PICTURE[1], labels=("one", "two"), top=1),
    ]


@pytest.mark.parametrize("config", [ZERO_SHOT])
@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (
            {"labels": "a, b", "model": "animals"},
            "This model has labels of its own. Choose one of these for yours: clip, siglip.",
        ),
        ({"model": "clip"}, "This model needs labels to choose from. Give some, with commas between them."),
        ({"labels": "a"}, "Give 2 to 25 labels, with commas between them."),
    ],
)
async def test_labels_and_models_that_do_not_go_together(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, options: dict[str, str], refusal: str
) -> None:
    result = await alice.slash(channel, "classify", image=PICTURE, **options)
    assert private_text(result) == refusal
    assert not device.batches


async def test_labels_where_no_model_takes_any(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "classify", image=PICTURE, labels="a cat, a dog")
    assert private_text(result) == "No model here takes labels of your own. Leave them out."


async def test_offers_models(alice: MemberActor, channel: ChannelHandle) -> None:
    choices = await alice.autocomplete(channel, "classify", "model", "thi")
    assert choices == [{"name": "things", "value": "things"}]


async def test_works_in_direct_messages(env: Env) -> None:
    result = await env.create_user("carol").slash("classify", image=PICTURE)
    assert embed(result).title == "tabby cat · 50.0%"


@pytest.fixture
def downloads(env: Env, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the addresses of what was downloaded."""
    urls: list[str] = []
    read = env.bot.http.get_from_cdn

    def counted(url: str) -> Awaitable[bytes]:
        urls.append(url)
        return read(url)

    monkeypatch.setattr(env.bot.http, "get_from_cdn", counted)
    return urls


@pytest.fixture
def slow(env: Env, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let downloads wait; return what ends the wait."""
    arrived = asyncio.Event()
    read: Callable[[str], Awaitable[Any]] = env.bot.http.get_from_cdn

    async def held(url: str) -> Any:
        await env.external_wait(arrived.wait(), reason="a slow download")
        return await read(url)

    monkeypatch.setattr(env.bot.http, "get_from_cdn", held)
    return arrived.set
