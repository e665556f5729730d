"""Define the tables of the job store. Each change needs a migration in `migrations/versions/`, and a new NEWEST."""

from __future__ import annotations

import sqlalchemy as sa

NEWEST = "0001"
"""The version of the tables below; versions are compared as strings."""
metadata = sa.MetaData()
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(32), nullable=False, unique=True),
    sa.Column("task", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("answered", sa.Boolean, nullable=False, default=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("requester", sa.Text, nullable=False),
    sa.Column("reply_to", sa.Text),
    sa.Column("request", sa.LargeBinary),
    sa.Column("result", sa.LargeBinary),
    sa.Column("error", sa.Text),
)
values = sa.Table("kept", metadata, sa.Column("key", sa.String(64), primary_key=True), sa.Column("value", sa.Text))
