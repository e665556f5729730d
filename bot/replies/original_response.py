"""Find and edit an interaction's original response from its token alone, so that it works after a restart too.

discord.py offers this only on a live `Interaction`; its `Webhook.edit_message` escapes the `@` of `@original`.
"""

from __future__ import annotations

from typing import Any

import discord
from discord.http import handle_message_parameters
from discord.webhook.async_ import async_context

from bot.client.readable import readable
from bot.replies.reply_address import ReplyAddress


async def find_original(client: discord.Client, address: ReplyAddress) -> int:
    """Return the message's id; raise HTTPException."""
    webhook = discord.Webhook.partial(address.application_id, address.token, client=client)
    with readable():
        message = await async_context.get().get_original_interaction_response(
            address.application_id,
            address.token,
            session=webhook.session,
            proxy=webhook.proxy,
            proxy_auth=webhook.proxy_auth,
        )
        return int(message["id"])


async def edit_original(client: discord.Client, address: ReplyAddress, **changes: Any) -> int:
    """Edit the message and return its id; `changes` are content, embeds, attachments and view. Raise HTTPException."""
    webhook = discord.Webhook.partial(address.application_id, address.token, client=client)
    silent = discord.AllowedMentions.none()
    with handle_message_parameters(**changes, allowed_mentions=silent) as parameters, readable():
        message = await async_context.get().edit_original_interaction_response(
            address.application_id,
            address.token,
            session=webhook.session,
            proxy=webhook.proxy,
            proxy_auth=webhook.proxy_auth,
            payload=parameters.payload,
            multipart=parameters.multipart,
            files=parameters.files,
        )
        return int(message["id"])
