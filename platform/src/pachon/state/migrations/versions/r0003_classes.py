"""Classes of work, and totals of what was run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns, which the version before need not know, and the table."""
    op.add_column("jobs", sa.Column("time_class", sa.String(16), nullable=False, server_default="short"))
    op.add_column("jobs", sa.Column("expected_s", sa.Float(), nullable=False, server_default="0"))
    op.add_column("executions", sa.Column("time_class", sa.String(16), nullable=False, server_default="short"))
    op.create_table(
        "query_totals",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("protocol", sa.String(32), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("time_class", sa.String(16), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("day", "protocol", "phase", "time_class", name="pk_query_totals"),
    )
