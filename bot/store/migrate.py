"""Bring a database to the present schema: a new one at once, an older one by Alembic's migrations.

Alembic is imported only for those: it takes 10 MB, which the bot would keep.
"""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy as sa

from bot.errors import UserError
from bot.store.schema import NEWEST, jobs, metadata

log = logging.getLogger(__name__)
_SCRIPTS = Path(__file__).parent / "migrations"
_version = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))
"""Alembic's own table."""


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
    """Make the tables, or run the migrations they lack, within the connection's transaction; raise UserError."""
    before = version_of(connection)
    if before == NEWEST:
        return
    if before is None and not sa.inspect(connection).has_table(jobs.name):
        _create(connection)
    else:
        _upgrade(connection)
        log.info("brought the job store from version %s to %s", before or "0", NEWEST)


def _create(connection: sa.Connection) -> None:
    metadata.create_all(connection)
    _version.create(connection, checkfirst=True)
    connection.execute(sa.insert(_version).values(version_num=NEWEST))


def _upgrade(connection: sa.Connection) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each of its plugins
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    command.upgrade(config, "head")
