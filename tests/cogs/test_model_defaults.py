"""Test the default model of a server, a category, a channel and a thread."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import discord
import pytest
from simcord import ChannelHandle, Env, GuildHandle, MemberActor

from bot.bot import Bot
from bot.client.model_defaults import ModelDefaults
from bot.config import Settings, parse_settings
from bot.store.base import NoStore
from bot.tasks.sentiment.task import SentimentRequest
from tests.conftest import MODELS
from tests.fakes.executor import FakeDevice
from tests.fakes.lives import Lives
from tests.fakes.seen import embed, private_text

PLAIN, FILMS, TWEETS = MODELS["sentiment"]["models"]


@pytest.fixture
def manager(env: Env, guild: GuildHandle) -> MemberActor:
    role = guild.create_role("Managers", permissions=discord.Permissions(manage_guild=True))
    return guild.add_member(env.create_user("manager"), roles=[role])


async def used(person: MemberActor, channel: ChannelHandle, device: FakeDevice) -> str:
    """Ask without naming a model; return the one that was used."""
    await person.slash(channel, "sentiment", text="x")
    request = device.requests[-1]
    assert isinstance(request, SentimentRequest)
    return request.model


async def test_the_nearest_default_counts(
    manager: MemberActor, alice: MemberActor, guild: GuildHandle, channel: ChannelHandle, device: FakeDevice
) -> None:
    other = guild.create_text_channel("other")
    assert await used(alice, channel, device) == PLAIN

    result = await manager.slash(channel, "models default", command="sentiment", model="film-reviews")
    assert private_text(result) == "/sentiment uses film-reviews in this server when no model is named."
    assert await used(alice, channel, device) == await used(alice, other, device) == FILMS

    await manager.slash(channel, "models default", command="sentiment", model="example/tweets", channel=other)
    assert await used(alice, channel, device) == FILMS
    assert await used(alice, other, device) == TWEETS

    result = await manager.slash(channel, "models default", command="sentiment", channel=other)
    assert private_text(result) == f"/sentiment has no default of its own in <#{other.id}> any more."
    assert await used(alice, other, device) == FILMS
    await manager.slash(channel, "models default", command="sentiment")
    assert await used(alice, other, device) == PLAIN


async def test_a_thread_goes_by_its_channel_and_a_channel_by_its_category(
    manager: MemberActor, alice: MemberActor, env: Env, guild: GuildHandle, channel: ChannelHandle, device: FakeDevice
) -> None:
    category = guild.create_category("Films")
    inside = guild.create_text_channel("inside", category=category)
    env.backend.create_thread(inside.id, "About one film", owner_id=alice.id)
    (thread,) = inside.threads
    await manager.slash(channel, "models default", command="sentiment", model="film-reviews", channel=category)
    assert await used(alice, inside, device) == await used(alice, thread, device) == FILMS
    assert await used(alice, channel, device) == PLAIN
    await manager.slash(channel, "models default", command="sentiment", model="example/tweets", channel=inside)
    assert await used(alice, thread, device) == TWEETS
    await manager.slash(channel, "models default", command="sentiment", model="plain-mood", channel=thread)
    assert await used(alice, thread, device) == PLAIN


async def test_menus_go_by_it_and_other_servers_do_not(
    manager: MemberActor, alice: MemberActor, env: Env, channel: ChannelHandle, device: FakeDevice
) -> None:
    await manager.slash(channel, "models default", command="sentiment", model="film-reviews")
    await alice.context_menu(channel, "Sentiment", await alice.send(channel, "Good morning"))
    assert device.requests[-1].model == FILMS
    elsewhere = env.create_guild("Dogs")
    carol = elsewhere.add_member(env.create_user("carol"))
    assert await used(carol, elsewhere.create_text_channel("general"), device) == PLAIN
    await env.create_user("dave").slash("sentiment", text="x")
    assert device.requests[-1].model == PLAIN


async def test_a_named_model_goes_before_the_default(
    manager: MemberActor, alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    await manager.slash(channel, "models default", command="sentiment", model="film-reviews")
    await alice.slash(channel, "sentiment", text="x", model="plain-mood")
    assert device.requests[-1].model == PLAIN


async def test_the_list_and_the_choices_show_the_default_here(
    manager: MemberActor, alice: MemberActor, channel: ChannelHandle
) -> None:
    await manager.slash(channel, "models default", command="sentiment", model="film-reviews")
    fields = embed(await alice.slash(channel, "models list")).fields
    assert (fields[0].value or "").startswith("**film-reviews** · ")
    assert (fields[0].value or "").count("**") == 2
    offered = await alice.autocomplete(channel, "sentiment", "model", "", text="x")
    assert [choice["name"] for choice in offered] == ["film-reviews · default", "plain-mood", "example/tweets"]
    offered = await manager.autocomplete(channel, "models default", "model", "tw", command="sentiment")
    assert [choice["value"] for choice in offered] == ["example/tweets"]


async def test_only_who_manages_the_server_chooses(
    alice: MemberActor, moderator: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    for person in (alice, moderator):
        result = await person.slash(channel, "models default", command="sentiment", model="film-reviews")
        assert private_text(result) == "Only members who may manage the server can choose its models."
    assert await used(alice, channel, device) == PLAIN


async def test_in_direct_messages_there_is_nothing_to_choose(env: Env) -> None:
    result = await env.create_user("dave").slash("models default", command="sentiment", model="film-reviews")
    assert result.response is not None
    assert result.response.content == "Only members who may manage the server can choose its models."


async def test_a_model_that_is_not_configured_is_refused(manager: MemberActor, channel: ChannelHandle) -> None:
    result = await manager.slash(channel, "models default", command="sentiment", model="nothing")
    assert "There is no model “nothing” here." in private_text(result)


async def test_defaults_are_remembered(
    manager: MemberActor, alice: MemberActor, channel: ChannelHandle, env: Env, lives: Lives
) -> None:
    await manager.slash(channel, "models default", command="sentiment", model="film-reviews")
    await manager.slash(channel, "models default", command="classify", model="things", channel=channel)
    second = FakeDevice()
    await lives.again(env, second)
    assert await used(alice, channel, second) == FILMS

    lives.settings = parse_settings(MODELS | {"sentiment": {"models": [PLAIN, TWEETS]}})
    third = FakeDevice()
    engine = await lives.again(env, third)
    assert await used(alice, channel, third) == PLAIN
    await engine.store.flush()
    kept = await engine.store.get_value("default models")
    assert kept == {f"channel {channel.id}": {"classify": "path:models/things"}}


async def test_a_server_whose_first_channel_has_its_id(settings: Settings) -> None:
    defaults = ModelDefaults(NoStore(), settings.tasks)
    defaults.set(discord.Object(7), "sentiment", "film-reviews")
    elsewhere: Any = SimpleNamespace(channel=None, channel_id=8, guild_id=7)
    inside: Any = SimpleNamespace(channel=None, channel_id=7, guild_id=7)
    assert defaults.here(elsewhere, "sentiment") == PLAIN
    assert defaults.here(inside, "sentiment") == FILMS


async def test_only_commands_with_a_choice_of_models_are_offered(
    manager: MemberActor, channel: ChannelHandle, bot: Bot
) -> None:
    assert set(bot.model_defaults.tasks) == {"sentiment", "classify", "imagine"}
    refused = await manager.slash(channel, "models default", command="detect", model="x")
    assert private_text(refused) == "There is no command “detect” here whose model can be chosen."
