"""The run whose rows are shown while a later one has none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pachon.state.metadata import Words

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; runs of before stand for themselves."""
    op.add_column("query_runs", sa.Column("former_id", Words()))
    op.create_index("ix_query_runs_former_id", "query_runs", ["former_id"])
