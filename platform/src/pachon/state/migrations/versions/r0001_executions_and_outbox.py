"""Executions, and the outbox of events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pachon.state.metadata import Moment, Words

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Add both tables."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(always=True)),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("key", Words(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("published_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_published_at", "outbox", ["published_at"])
    op.create_table(
        "executions",
        sa.Column("id", Words(), nullable=False),
        sa.Column("owner", Words(), nullable=False),
        sa.Column("protocol", sa.String(32), nullable=False),
        sa.Column("query", Words(), nullable=False),
        sa.Column("tables", sa.JSON(), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=False),
        sa.Column("destruction", Moment(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("overflow", sa.Boolean(), nullable=False),
        sa.Column("error", Words()),
        sa.PrimaryKeyConstraint("id", name="pk_executions"),
    )
    op.create_index("ix_executions_owner_id", "executions", ["owner", "id"])
    op.create_index("ix_executions_destruction", "executions", ["destruction"])
