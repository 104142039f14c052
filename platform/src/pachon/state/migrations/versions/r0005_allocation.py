"""The ledger of allocation: reservations, and what was last observed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pachon.state.metadata import Moment, Words

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "allocation_reservations",
        sa.Column("id", Words(), nullable=False),
        sa.Column("namespace", Words(), nullable=False),
        sa.Column("pod", Words(), nullable=False),
        sa.Column("uid", Words()),
        sa.Column("owner", Words(), nullable=False),
        sa.Column("server", Words(), nullable=False),
        sa.Column("pool", Words(), nullable=False),
        sa.Column("cpu_millicores", sa.BigInteger(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reserved_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_allocation_reservations"),
        sa.UniqueConstraint("namespace", "pod", name="uq_allocation_reservations_namespace_pod"),
    )
    op.create_index("ix_allocation_reservations_owner", "allocation_reservations", ["owner"])
    op.create_table(
        "allocation_observed",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cpu_millicores", sa.BigInteger(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("observed_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_allocation_observed"),
    )
