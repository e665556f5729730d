"""Make the first tables. hubcord 0.1.0 made the same ones without a version: those are taken over as they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make what is missing."""
    op.create_table(
        "jobs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("task", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answered", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("requester", sa.Text, nullable=False),
        sa.Column("reply_to", sa.Text),
        sa.Column("request", sa.LargeBinary),
        sa.Column("result", sa.LargeBinary),
        sa.Column("error", sa.Text),
        if_not_exists=True,
    )
    op.create_index("ix_jobs_answered", "jobs", ["answered"], if_not_exists=True)
    op.create_table(
        "kept",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text),
        if_not_exists=True,
    )
