"""Run migrations on the connection that `bot.store.migrate` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from bot.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,  # SQLite can hardly alter a table: Alembic copies it
)
with context.begin_transaction():
    context.run_migrations()
