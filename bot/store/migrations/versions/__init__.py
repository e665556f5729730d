"""Hold one module for each version; Alembic finds them by `revision` and `down_revision`."""
