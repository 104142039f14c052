"""Saved queries, with their versions, runs, shares and words; the client of an execution and of a job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pachon.state.metadata import Moment, Words

revision = "0004"
down_revision = "0003"

_WORDS_SQLITE = "CREATE VIRTUAL TABLE query_words USING fts5(words, tokenize = 'unicode61 remove_diacritics 0')"
_WORDS_POSTGRESQL = (
    "CREATE TABLE query_words (query_id text PRIMARY KEY, words tsvector NOT NULL)",
    "CREATE INDEX ix_query_words_words ON query_words USING gin (words)",
)


def upgrade() -> None:
    """Add the tables and columns."""
    for table in ("executions", "jobs"):
        op.add_column(table, sa.Column("client", Words()))
    _add_queries()
    _add_versions()
    _add_runs()
    _add_shares()
    statements = _WORDS_POSTGRESQL if op.get_bind().dialect.name == "postgresql" else (_WORDS_SQLITE,)
    for statement in statements:
        op.execute(statement)


def _add_queries() -> None:
    op.create_table(
        "queries",
        sa.Column("id", Words(), nullable=False),
        sa.Column("owner", Words(), nullable=False),
        sa.Column("name", Words(), nullable=False),
        sa.Column("adql", Words(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("releases", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("row_count", sa.BigInteger()),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", Words()),
        sa.Column("parent_version", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="pk_queries"),
    )
    op.create_index("ix_queries_owner_place", "queries", ["owner", "place"])
    op.create_index("ix_queries_place", "queries", ["place"])
    op.create_table(
        "query_labels",
        _query_id("query_labels"),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("label", Words(), nullable=False),
        sa.PrimaryKeyConstraint("query_id", "kind", "label", name="pk_query_labels"),
    )
    op.create_index("ix_query_labels_kind_label", "query_labels", ["kind", "label"])


def _add_versions() -> None:
    op.create_table(
        "query_versions",
        _query_id("query_versions"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", Words(), nullable=False),
        sa.Column("notes", Words(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("adql", Words(), nullable=False),
        sa.Column("form", sa.JSON()),
        sa.Column("max_rows", sa.BigInteger()),
        sa.Column("uploads", sa.JSON(), nullable=False),
        sa.Column("view", sa.JSON()),
        sa.Column("note", Words(), nullable=False),
        sa.Column("author", Words(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=False),
        sa.Column("run_id", Words()),
        sa.PrimaryKeyConstraint("query_id", "number", name="pk_query_versions"),
    )
    op.create_index("ix_query_versions_run_id", "query_versions", ["run_id"])


def _add_runs() -> None:
    op.create_table(
        "query_runs",
        sa.Column("id", Words(), nullable=False),
        _query_id("query_runs"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("asked_by", Words(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("asked_at", Moment(), nullable=False),
        sa.Column("client", Words(), nullable=False),
        sa.Column("job_id", Words()),
        sa.Column("execution_id", Words()),
        sa.Column("tables", sa.JSON(), nullable=False),
        sa.Column("started_at", Moment()),
        sa.Column("ended_at", Moment()),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("overflow", sa.Boolean(), nullable=False),
        sa.Column("result_bytes", sa.BigInteger()),
        sa.Column("error", Words()),
        sa.PrimaryKeyConstraint("id", name="pk_query_runs"),
    )
    for column in ("query_id", "job_id", "execution_id"):
        op.create_index(f"ix_query_runs_{column}", "query_runs", [column])


def _add_shares() -> None:
    op.create_table(
        "query_shares",
        sa.Column("id", Words(), nullable=False),
        _query_id("query_shares"),
        sa.Column("audience", sa.String(8), nullable=False),
        sa.Column("who", Words(), nullable=False),
        sa.Column("may_edit", sa.Boolean(), nullable=False),
        sa.Column("expires_at", Moment()),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_query_shares"),
        sa.UniqueConstraint("query_id", "audience", "who", name="uq_query_shares_query_id_audience_who"),
    )
    op.create_index("ix_query_shares_audience_who", "query_shares", ["audience", "who"])


def _query_id(table: str) -> sa.Column[str]:
    """The query that a row belongs to, and goes with."""
    owner = sa.ForeignKey("queries.id", name=f"fk_{table}_query_id", ondelete="CASCADE")
    return sa.Column("query_id", Words(), owner, nullable=False)
