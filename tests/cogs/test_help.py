"""Test /help."""

from __future__ import annotations

from simcord import ChannelHandle, Env, MemberActor

from tests.fakes.seen import commands, description, embed


async def test_names_every_command_and_menu(alice: MemberActor, channel: ChannelHandle, env: Env) -> None:
    result = await alice.slash(channel, "help")

    (registered,) = commands(env)
    slash = [command for command in registered if command["type"] == 1]
    lines = [f"**/{command['name']}** · {command['description']}" for command in slash]
    assert result.ephemeral
    assert sorted(description(result).split("\n")) == sorted(lines)
    assert {"classify", "help", "imagine", "queue", "sentiment", "translate"} <= {c["name"] for c in slash}
    (field,) = embed(result).fields
    menus = {f"**{command['name']}**" for command in registered if command["type"] == 3}
    assert set((field.value or "").split(", ")) == menus
    assert {"**Sentiment**", "**Classify image**", "**Translate**"} <= menus


async def test_works_in_direct_messages(env: Env) -> None:
    result = await env.create_user("carol").slash("help")
    assert "/imagine" in description(result)
