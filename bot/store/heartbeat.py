"""Tell from the store whether a bot is connected: while it is, it notes the time there every few seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.store.sql import SqlStore

HEARTBEAT = "alive_at"
HEARTBEAT_S = 15.0
_STALE_S = 4 * HEARTBEAT_S


async def is_connected(store: SqlStore) -> bool:
    """Say whether a bot that uses this store was connected a moment ago; raise UserError if it can't be asked."""
    if await store.schema_state() != "current":
        return False
    return time.time() - (await store.get_value(HEARTBEAT) or 0.0) < _STALE_S
