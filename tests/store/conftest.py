"""Offer the databases that the job store is tested with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tests.fakes.skipping import skip_without
from tests.store.postgres import Server, find_programs, running

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    programs = find_programs()
    if programs is None:
        skip_without("postgresql", "apt-get install postgresql")
    with running(programs) as server:
        yield server


@pytest.fixture
async def postgres_url(postgres_server: Server) -> str:
    """Return the URL of an empty database."""
    name = f"test{next(_numbers)}"
    admin = create_async_engine(postgres_server.url("postgres"), isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(sa.text(f"CREATE DATABASE {name}"))
    await admin.dispose()
    return postgres_server.url(name)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database of each kind."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found
