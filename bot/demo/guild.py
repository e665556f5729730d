"""Set the stage: a server with a channel, people in it, and a message that says what to try."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import discord
from simcord import ChannelHandle, Env, MemberActor

EXAMPLES = Path(__file__).with_name("examples")
_SHOWN = ("cat.jpg", "coffee.jpg")
_WELCOME = """## Welcome
Type **/** in the box below and choose a command:
- **/sentiment** What a lovely day!
- **/translate** Good morning, how are you? **to** Portuguese
- **/imagine** a red heart
- **/queue** shows what is being made, **/help** everything else
- **/classify** a picture of yours, or one of these"""
_BELOW = """-# These and more are in `{folder}`
-# All of it runs on this computer. The message menus (right-click, Apps) are in the real Discord only."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Hold the channel, and who can look at it: the first one when the page opens."""

    channel: ChannelHandle
    viewers: tuple[MemberActor, ...]


async def set_stage(env: Env) -> Stage:
    """Make the server, and post the message that the channel starts with."""
    if env.bot.user is not None:
        await env.bot.user.edit(username="hubcord")
    guild = env.create_guild("hubcord demo")
    channel = guild.create_text_channel("playground", topic="Type / to choose a command")
    role = guild.create_role("Moderators", permissions=discord.Permissions(manage_messages=True))
    you, ada = guild.add_member(env.create_user("you")), guild.add_member(env.create_user("Ada"), roles=[role])
    files = [discord.File(EXAMPLES / name) for name in _SHOWN]
    await env.bot.get_partial_messageable(channel.id).send(view=_welcome(), files=files)
    return Stage(channel, (you, ada))


def _welcome() -> discord.ui.LayoutView:
    gallery: discord.ui.MediaGallery[Any] = discord.ui.MediaGallery()
    for name in _SHOWN:
        gallery.add_item(media=f"attachment://{name}", description=name)
    below: discord.ui.TextDisplay[Any] = discord.ui.TextDisplay(_BELOW.format(folder=EXAMPLES))
    above: discord.ui.TextDisplay[Any] = discord.ui.TextDisplay(_WELCOME)
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.Container(above, gallery, below, accent_colour=discord.Colour.blurple()))
    return view
