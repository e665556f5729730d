"""Test that roles give their members another share of the devices."""

from __future__ import annotations

import pytest
from simcord import ChannelHandle, Env, GuildHandle

from bot.bot import Bot
from bot.config import Tier
from bot.engine.engine import Engine
from tests.fakes.executor import FakeDevice

WEIGHTS = {"guest": 0.5, "patron": 2.0, "founder": 4.0}


@pytest.mark.parametrize(
    ("names", "weight"), [([], 1.0), (["guest"], 0.5), (["guest", "patron"], 2.0), (["founder", "patron"], 4.0)]
)
async def test_the_highest_role_counts(
    env: Env,
    bot: Bot,
    guild: GuildHandle,
    channel: ChannelHandle,
    engine: Engine,
    device: FakeDevice,
    names: list[str],
    weight: float,
) -> None:
    roles = {name: guild.create_role(name) for name in WEIGHTS}
    tiers = tuple(Tier(role=roles[name].id, weight=weight) for name, weight in WEIGHTS.items())
    queue = bot.settings.queue.model_copy(update={"tiers": tiers})
    bot.settings = bot.settings.model_copy(update={"queue": queue})
    carol = guild.add_member(env.create_user("carol"), roles=[roles[name] for name in names])
    device.hold()
    await carol.slash(channel, "sentiment", text="x")
    await carol.user.slash("sentiment", text="in a direct message nobody has roles")
    assert [job.requester.weight for job in engine.jobs.values()] == [weight, 1.0]
