"""Log in to Discord as `hubcord run` does, and look at the application and its commands."""

from __future__ import annotations

import asyncio

import aiohttp
import discord

from bot.bot import Bot
from bot.config import Settings, discord_token
from bot.doctor import check
from bot.doctor.check import Check, failed
from bot.errors import ConfigError
from bot.store.base import Store
from bot.wiring import make_engine

PERMISSIONS = discord.Permissions(
    view_channel=True, send_messages=True, send_messages_in_threads=True, embed_links=True, attach_files=True
)
"""What the bot needs in a channel, and no more."""
_SCOPES = ("bot", "applications.commands")
_PRIVILEGED = {
    "presences": ("gateway_presence", "gateway_presence_limited"),
    "members": ("gateway_guild_members", "gateway_guild_members_limited"),
    "message_content": ("gateway_message_content", "gateway_message_content_limited"),
}
"""Each intent that must be switched on in the developer portal, and the application's flags that say it is."""
_TOKEN = "Discord token"  # noqa: S105 - the name of a line
_PORTAL = "https://discord.com/developers/applications"


class _Visitor(Bot):
    """Log in as the bot, but register nothing and answer nothing."""

    async def setup_hook(self) -> None:
        """Load the cogs: their commands are compared with those that are registered."""
        await self.load_cogs()


async def check_discord(settings: Settings, store: Store) -> list[Check]:
    """Return what is right and wrong on Discord's side; without a login, that alone."""
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody is spoken to here
    try:
        token = discord_token().get_secret_value()
    except ConfigError as error:
        return [failed(_TOKEN, str(error))]
    engine = make_engine(settings, store=store, eager=False)
    try:
        async with asyncio.timeout(check.LIMIT_S), _Visitor(engine=engine, settings=settings) as bot:
            await bot.login(token)
            return [
                *_application(bot, settings),
                *[await _commands(bot, guild) for guild in settings.discord.guilds or (0,)],
            ]
    except discord.LoginFailure:
        return [Check(_TOKEN, "error", "Discord refuses it.", f"Reset it at {_PORTAL} and set DISCORD_TOKEN anew.")]
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        return [_unreachable(error)]


def _unreachable(error: Exception) -> Check:
    """Tell Discord's own trouble from that of the network. TimeoutError is an OSError too."""
    if isinstance(error, discord.HTTPException):
        text, advice = f"Discord has trouble itself ({error.status}).", "Look at https://discordstatus.com ."
    else:
        text = "Discord doesn't answer." if isinstance(error, TimeoutError) else f"Discord can't be reached: {error}."
        advice = "Check this machine's network, name service and proxy."
    return Check(_TOKEN, "error", text, f"{advice} Then try again.")


def _application(bot: Bot, settings: Settings) -> list[Check]:
    info, user = bot.application, bot.user
    assert info is not None  # noqa: S101 - there since the login
    assert user is not None  # noqa: S101
    checks = [Check(_TOKEN, "ok", f"of {user.name}, application {info.id}"), _intents(bot, info), _invitation(info)]
    if info.interactions_endpoint_url:
        text = "The application's commands are sent to an address on the web, so the bot never hears of them."
        advice = f"Empty “Interactions Endpoint URL” at {_PORTAL}/{info.id}/information ."
        checks.append(Check("interactions", "error", text, advice))
    if info.bot_public and not settings.discord.guilds:
        text = "Anybody can add the bot to their own server and use this machine."
        advice = f"Switch “Public Bot” off at {_PORTAL}/{info.id}/bot , or list your servers as guilds in [discord]."
        checks.append(Check("who may add it", "warning", text, advice))
    return checks


def _intents(bot: Bot, info: discord.AppInfo) -> Check:
    needed = [name for name in _PRIVILEGED if getattr(bot.intents, name)]
    missing = [name for name in needed if not any(getattr(info.flags, flag) for flag in _PRIVILEGED[name])]
    if missing:
        advice = f"Switch them on at {_PORTAL}/{info.id}/bot ."
        return Check("intents", "error", f"Not allowed: {', '.join(missing)}.", advice)
    return Check("intents", "ok", f"allowed: {', '.join(needed)}" if needed else "no privileged ones are needed")


def _invitation(info: discord.AppInfo) -> Check:
    link = discord.utils.oauth_url(info.id, permissions=PERMISSIONS, scopes=_SCOPES)
    if info.bot_require_code_grant:
        advice = f"Switch “Requires OAuth2 Code Grant” off at {_PORTAL}/{info.id}/bot ."
        return Check("invitation", "warning", "Nobody can add the bot to a server.", advice)
    return Check("invitation", "ok", link)


async def _commands(bot: Bot, guild: int) -> Check:
    """Compare the commands with the registered ones: by what the next start goes by, and by what Discord has."""
    name = f"commands in server {guild}" if guild else "commands"
    local = {command.name for command in bot.tree.get_commands()}
    try:
        found = await bot.tree.fetch_commands(guild=discord.Object(guild) if guild else None)
    except (discord.Forbidden, discord.NotFound):
        advice = "Invite the bot there, or take the server out of guilds in [discord]."
        return Check(name, "warning", "The bot isn't in this server.", advice)
    if await bot.commands_changed():
        return Check(name, "ok", f"{len(local)}; they are new or changed, and registered by the next start")
    if {command.name for command in found} != local:
        return Check(name, "warning", "Discord knows others than it was told.", "Run `hubcord sync`.")
    return Check(name, "ok", f"{len(local)}, registered")
