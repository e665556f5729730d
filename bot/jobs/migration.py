"""Bring a database to the present schema by Alembic's migrations, which are imported only when there is work."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from bot.errors import UserError
from bot.jobs.schema import NEWEST

_SCRIPTS = Path(__file__).parent / "migrations"
_version = sa.table("alembic_version", sa.column("version_num", sa.String))


def version_of(connection: sa.Connection) -> str | None:
    """Return the version of a database; None before its first migration. Raise UserError if it is too new."""
    if not sa.inspect(connection).has_table(_version.name):
        return None
    version: str | None = connection.scalar(sa.select(_version.c.version_num))
    if version is not None and version > NEWEST:
        raise UserError(
            "The job store was written by a newer hubcord (its version is {found}, this one knows {known}). "
            "Update hubcord, or name another store in [store].",
            found=version,
            known=NEWEST,
        )
    return version


def migrate(connection: sa.Connection) -> None:
    """Run the migrations that a database lacks, within the connection's transaction; raise UserError."""
    if version_of(connection) != NEWEST:
        _upgrade(connection)


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    command.upgrade(config, "head")
