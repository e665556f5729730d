"""Test /sentiment and the menu "Sentiment"."""

from __future__ import annotations

import discord
import pytest
from simcord import ChannelHandle, Env, GuildHandle, MemberActor

from bot.bot import Bot
from bot.tasks.sentiment.task import SentimentRequest, SentimentResult
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import as_read, callbacks, description, edits, embed, message, private_text

BREAKOUT = "@everyone <@123456789012345678> ```x``` [a](b) [free](https://evil.example) **b** # h"
HOSTILE = SentimentResult(model="`m` @here", label="`**bad**` @everyone", score=1.0, scores={"[x](y) <#1>": 1.0})


async def test_says_the_label_and_all_scores(alice: MemberActor, channel: ChannelHandle, env: Env) -> None:
    result = await alice.slash(channel, "sentiment", text="I love\nthis")

    shown = embed(result)
    assert shown.title == "positive · 90.0%"
    assert shown.description == ("> I love this\n\n`██████████▊ ` ` 90.0%` positive\n`█▎          ` ` 10.0%` negative")
    assert shown.footer.text == "fake@1"
    assert shown.colour == discord.Colour.green()
    assert not result.ephemeral
    assert not message(result).content
    assert callbacks(env) == [5]
    assert len(edits(env)) == 1


async def test_a_bad_mood_is_red(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "sentiment", text="I hate this")
    assert embed(result).colour == discord.Colour.red()


async def test_the_first_model_is_the_default(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    await alice.slash(channel, "sentiment", text="fine")
    await alice.slash(channel, "sentiment", text="fine", model="film-reviews")
    assert [request.model for request in device.requests] == ["path:models/plain-mood", "path:models/film-reviews"]


async def test_a_text_cannot_break_out(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "sentiment", text=BREAKOUT)
    quoted = description(result).split("\n")[0].removeprefix("> ")
    assert as_read(quoted) == (BREAKOUT, "")
    assert "@everyone" not in quoted


async def test_labels_of_a_model_cannot_break_out(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    device.answers(HOSTILE)
    shown = embed(await alice.slash(channel, "sentiment", text="x"))
    assert as_read(shown.title or "") == ("`**bad**` @everyone · 100.0%", "")
    assert as_read((shown.description or "").split("\n")[-1]) == ("`████████████` `100.0%` [x](y) <#1>", "````")


async def test_a_long_text_is_cut_and_said_to_be(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "sentiment", text="*" * 4000)
    assert description(result).startswith("> " + "\\*" * 299 + "…\n")
    assert embed(result).footer.text == "fake@1 · only the beginning of this long text was read"


async def test_many_long_labels_fit(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    scores = {f"{k:02} " + "*" * 200: 0.03 for k in range(40)}
    device.answers(SentimentResult(model="m" * 3000, label="*" * 300, score=0.03, scores=scores))
    result = await alice.slash(channel, "sentiment", text="_" * 4000)
    assert len(description(result).split("\n")) == 2 + 15


async def test_only_white_space_is_refused(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    result = await alice.slash(channel, "sentiment", text=" \n ")
    assert private_text(result) == "There is no text. Give some words to look at."
    assert not device.batches


async def test_a_model_that_is_not_offered_is_refused(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    result = await alice.slash(channel, "sentiment", text="x", model="gpt-9 {known}")
    assert private_text(result) == (
        "There is no model “gpt-9 {known}” here. Choose one of: plain-mood, film-reviews, example/tweets."
    )
    assert not device.batches


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", ["plain-mood", "film-reviews", "example/tweets"]),
        ("  REV ", ["film-reviews"]),
        ("e", ["example/tweets", "film-reviews"]),
        ("nothing", []),
    ],
)
async def test_offers_models(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice, typed: str, offered: list[str]
) -> None:
    choices = await alice.autocomplete(channel, "sentiment", "model", typed, text="x")
    assert [choice["name"].removesuffix(" · default") for choice in choices] == offered
    assert [choice["value"] for choice in choices] == offered
    assert not device.batches


MANY = [f"path:models/{k:02}-" + "long" * 30 for k in range(40)]


@pytest.mark.parametrize("config", [{"sentiment": {"models": MANY}}])
async def test_offers_at_most_25_models_with_names_that_fit(alice: MemberActor, channel: ChannelHandle) -> None:
    choices = await alice.autocomplete(channel, "sentiment", "model", "", text="x")
    assert len(choices) == 25
    assert choices[0]["name"].endswith(" · default")
    assert max(len(choice["name"]) for choice in choices) <= 100


async def test_menu_looks_at_the_clicked_message(
    alice: MemberActor, bob: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    clicked = await bob.send(channel, "I hate mondays")
    result = await alice.context_menu(channel, "Sentiment", clicked)
    assert embed(result).title == "negative · 80.0%"
    assert device.requests == [SentimentRequest(model="path:models/plain-mood", text="I hate mondays")]


async def test_menu_looks_at_what_a_message_forwards(
    alice: MemberActor, bob: MemberActor, guild: GuildHandle, channel: ChannelHandle
) -> None:
    said = await bob.send(guild.create_text_channel("elsewhere"), "I hate mondays")
    result = await alice.context_menu(channel, "Sentiment", await alice.forward(said, channel))
    assert embed(result).title == "negative · 80.0%"


async def test_menu_takes_the_text_of_embeds(
    alice: MemberActor, channel: ChannelHandle, bot: Bot, device: FakeDevice
) -> None:
    news = discord.Embed(title="News", description="All is well.").add_field(name="Weather", value="Sunny")
    clicked = await bot.get_partial_messageable(channel.id).send(embed=news)
    await alice.context_menu(channel, "Sentiment", clicked)
    assert device.requests == [
        SentimentRequest(model="path:models/plain-mood", text="News\n\nAll is well.\n\nWeather\nSunny")
    ]


async def test_menu_needs_text(alice: MemberActor, channel: ChannelHandle, device: FakeDevice) -> None:
    clicked = await alice.send(channel, attachments=[("cat.png", b"...")])
    result = await alice.context_menu(channel, "Sentiment", clicked)
    assert private_text(result) == "This message has no text."
    assert not device.batches


async def test_works_in_direct_messages(env: Env, device: FakeDevice) -> None:
    carol = env.create_user("carol")
    result = await carol.slash("sentiment", text="I love this")
    assert embed(result).title == "positive · 90.0%"
    assert len(device.batches) == 1
