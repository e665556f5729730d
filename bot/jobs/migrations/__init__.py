"""Change the job store's tables from version to version, by Alembic. `bot.jobs.migration` runs this."""
