"""Change the job store's tables from version to version, by Alembic. `bot.store.migrate` runs this."""
