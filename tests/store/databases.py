"""Look into databases past the store."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine


async def in_the_database(url: str, statement: str) -> list[Any]:
    """Run SQL on a database, past the store."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        result = await connection.execute(sa.text(statement))
        rows = list(result) if result.returns_rows else []
    await engine.dispose()
    return rows
