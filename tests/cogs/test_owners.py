"""Test that the owners of the bot are told once why a model can't be had, and members never why."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import discord
import pytest
from simcord import ChannelHandle, Env, MemberActor, UserHandle

from bot.bot import Bot
from bot.client.owner_alerts import owners_of
from bot.engine.engine import Engine
from bot.errors import ModelUnavailable
from bot.hub.access import model_unavailable
from bot.hub.reference import parse_reference
from bot.tasks.base import Failure
from tests.fakes.executor import FakeDevice
from tests.fakes.lives import Lives
from tests.fakes.seen import public_text

pytestmark = pytest.mark.usefixtures("lives")  # what was told is kept in the store
MODEL = "hf:example/my_tweets@abc"
GATED = (
    "Its licence must be accepted first. 1. Accept it at https://huggingface.co/example/my_tweets . "
    "2. Then give hubcord a token of an account that may: set HF_TOKEN."
)
MEMBERS_READ = "This model isn't available on this server yet."


@pytest.fixture
def owner(env: Env, bot: Bot) -> UserHandle:
    owner = env.create_user("owner")
    bot.owner_ids = {owner.id}
    return owner


def missing(hint: str = GATED, reason: str = "GatedRepoError") -> Failure:
    return Failure(model_unavailable(parse_reference(MODEL), hint, reason=reason))


async def ask(person: MemberActor, channel: ChannelHandle, device: FakeDevice, *failures: Failure) -> None:
    """Ask once for each failure."""
    for failure in failures:
        device.answers(failure)
        result = await person.slash(channel, "sentiment", text="x", model="example/tweets")
        assert public_text(result) == MEMBERS_READ


def read_by(person: UserHandle) -> Sequence[str]:
    """Return what the bot wrote to somebody."""
    channel = person.dm_channel
    return [message.content for message in channel.history()] if channel else []


async def test_the_owner_reads_once_which_model_why_and_how_to_mend_it(
    alice: MemberActor, bob: MemberActor, owner: UserHandle, channel: ChannelHandle, device: FakeDevice
) -> None:
    await ask(alice, channel, device, missing(), missing())
    await ask(bob, channel, device, missing())
    assert "\n\n".join(read_by(owner)) == (
        "Members asked for a model that isn't available:\n"
        "hf:example/my\\_tweets@abc: Its licence must be accepted first.\n"
        "1. Accept it at https://huggingface.co/example/my_tweets .\n"
        "2. Then give hubcord a token of an account that may: set HF\\_TOKEN."
    )


async def test_another_reason_is_told_again_but_not_the_same_in_other_words(
    alice: MemberActor, owner: UserHandle, channel: ChannelHandle, device: FakeDevice
) -> None:
    await ask(alice, channel, device, missing("Request 1.", "5xx"), missing("Request 2.", "5xx"), missing())
    assert len(read_by(owner)) == 2


async def test_it_is_remembered_across_restarts(
    alice: MemberActor, owner: UserHandle, channel: ChannelHandle, env: Env, device: FakeDevice, lives: Lives
) -> None:
    await ask(alice, channel, device, missing())
    second = FakeDevice()
    engine, bot = await _again(lives, env, second)
    bot.owner_ids = {owner.id}
    await ask(alice, channel, second, missing())
    assert len(read_by(owner)) == 1
    await ask(alice, channel, second, missing("It has no revision abc.", "RevisionNotFoundError"))
    assert len(read_by(owner)) == 2
    assert await engine.store.get_value("told owners") == {MODEL: "RevisionNotFoundError"}


async def _again(lives: Lives, env: Env, device: FakeDevice) -> tuple[Engine, Bot]:
    engine = await lives.again(env, device)
    bot: Any = env.bot
    return engine, bot


async def test_closed_messages_are_a_line_in_the_log(
    alice: MemberActor,
    owner: UserHandle,
    channel: ChannelHandle,
    env: Env,
    device: FakeDevice,
    caplog: pytest.LogCaptureFixture,
) -> None:
    env.inject_error("POST", "/channels/*/messages", status=403, code=50007, times=1)
    with caplog.at_level(logging.WARNING, "bot.client.owner_alerts"):
        await ask(alice, channel, device, missing(), missing())
    assert read_by(owner) == []
    (line,) = [record.message for record in caplog.records if record.name == "bot.client.owner_alerts"]
    assert line.startswith(f"owner {owner.id} of the bot can't be told: 403 Forbidden (error code: 50007)")


async def test_what_discord_had_trouble_with_is_told_the_next_time(
    alice: MemberActor, owner: UserHandle, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    env.inject_error("POST", "/users/@me/channels", status=500, times=1)
    await ask(alice, channel, device, missing())
    assert read_by(owner) == []
    await ask(alice, channel, device, missing(), missing())
    assert len(read_by(owner)) == 1


async def test_all_owners_are_told(
    alice: MemberActor, owner: UserHandle, bot: Bot, channel: ChannelHandle, env: Env, device: FakeDevice
) -> None:
    another = env.create_user("another")
    bot.owner_ids = {owner.id, another.id}
    await ask(alice, channel, device, missing())
    assert len(read_by(owner)) == len(read_by(another)) == 1


async def test_what_only_a_member_can_mend_is_not_told(
    alice: MemberActor, owner: UserHandle, channel: ChannelHandle, device: FakeDevice
) -> None:
    device.answers(Failure(ModelUnavailable("The bundled model “x” is not prepared yet.", name="x")))
    await alice.slash(channel, "sentiment", text="x")
    await alice.slash(channel, "sentiment", text="x", model="nothing")
    assert read_by(owner) == []


def test_who_owns_an_application() -> None:
    def member(number: int, role: str) -> Any:
        return SimpleNamespace(id=number, role=discord.TeamMemberRole(role))

    alone: Any = SimpleNamespace(team=None, owner=SimpleNamespace(id=1))
    assert owners_of(alone) == {1}
    members = [member(2, "admin"), member(3, "developer"), member(4, "read_only"), member(5, "read_only")]
    together: Any = SimpleNamespace(team=SimpleNamespace(owner_id=5, members=members), owner=SimpleNamespace(id=9))
    assert owners_of(together) == {2, 3, 5}
