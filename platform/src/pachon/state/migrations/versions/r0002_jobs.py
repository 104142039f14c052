"""Jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pachon.state.metadata import Moment, Words

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "jobs",
        sa.Column("id", Words(), nullable=False),
        sa.Column("owner", Words(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("queued_at", Moment()),
        sa.Column("started_at", Moment()),
        sa.Column("ended_at", Moment()),
        sa.Column("destruction", Moment(), nullable=False),
        sa.Column("duration_s", sa.Integer(), nullable=False),
        sa.Column("holder", Words(), nullable=False),
        sa.Column("lease_until", Moment()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("execution_id", Words()),
        sa.Column("tables", sa.JSON(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("overflow", sa.Boolean(), nullable=False),
        sa.Column("error", Words()),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_owner_id", "jobs", ["owner", "id"])
    op.create_index("ix_jobs_phase_queued_at", "jobs", ["phase", "queued_at"])
    op.create_index("ix_jobs_destruction", "jobs", ["destruction"])
