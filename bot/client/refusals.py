"""Tell what Discord's refusals mean for an answer."""

from __future__ import annotations

import discord

MESSAGE_GONE = 10008
_MAY_PASS = {401, 408, 429}  # the bot's token was reset; too slow; too many requests
_TOO_FAST = 40003  # too many people got a direct message at once; it comes as a 403
_SHUT = {50033, 50083, 50278, 160005}
"""What Discord says with more than one status: no such person, archived thread, no server in common, locked thread."""
_TOKEN_GONE = {10015, 10062, 50027}  # unknown webhook, unknown interaction, invalid webhook token
_TOO_LARGE = 40005


def is_transient(error: discord.HTTPException) -> bool:
    """Say whether the same request may be taken later. A 403 or 404 without a code comes from something in between."""
    nameless = error.status in (403, 404) and not error.code
    return error.status >= 500 or error.status in _MAY_PASS or error.code == _TOO_FAST or nameless


def is_denied(error: discord.HTTPException) -> bool:
    """Say whether the bot may not do this there, or there is no such place: another one may do."""
    refused = isinstance(error, discord.Forbidden | discord.NotFound) or error.code in _SHUT
    return refused and not is_transient(error)


def token_is_gone(error: discord.HTTPException) -> bool:
    """Say whether an interaction's token has ended."""
    return error.code in _TOKEN_GONE


def is_too_large(error: discord.HTTPException) -> bool:
    """Say whether the files are too large for Discord, or for what is before it."""
    return error.code == _TOO_LARGE or error.status == 413
