"""Tables of saved queries, and how their rows become models."""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    UniqueConstraint,
)

from pachon.queries.saved.models import Audience, Content, QueryRun, Share, Summary, Upload, Version
from pachon.state.metadata import METADATA, Moment, Words

_DOCUMENT = JSON(none_as_null=True)

QUERIES = Table(
    "queries",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("owner", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("adql", Words, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("releases", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("row_count", BigInteger),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("parent_id", Words),
    Column("parent_version", Integer),
    Index(None, "owner", "place"),
    Index(None, "place"),
)
LABELS = Table(
    "query_labels",
    METADATA,
    Column("query_id", Words, ForeignKey(QUERIES.c.id, ondelete="CASCADE"), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("label", Words, primary_key=True),
    Index(None, "kind", "label"),
)
RUNS = Table(
    "query_runs",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("query_id", Words, ForeignKey(QUERIES.c.id, ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("asked_by", Words, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("client", Words, nullable=False),
    Column("job_id", Words),
    Column("execution_id", Words),
    Column("tables", JSON, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("row_count", BigInteger, nullable=False),
    Column("overflow", Boolean, nullable=False),
    Column("result_bytes", BigInteger),
    Column("error", Words),
    Column("former_id", Words),
    Index(None, "query_id"),
    Index(None, "job_id"),
    Index(None, "execution_id"),
    Index(None, "former_id"),
)
VERSIONS = Table(
    "query_versions",
    METADATA,
    Column("query_id", Words, ForeignKey(QUERIES.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", Words, nullable=False),
    Column("notes", Words, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("adql", Words, nullable=False),
    Column("form", _DOCUMENT),
    Column("max_rows", BigInteger),
    Column("uploads", JSON, nullable=False),
    Column("view", _DOCUMENT),
    Column("note", Words, nullable=False),
    Column("author", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("based_on", Integer, nullable=False),
    Column("run_id", Words),
    Index(None, "run_id"),
)
SHARES = Table(
    "query_shares",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("query_id", Words, ForeignKey(QUERIES.c.id, ondelete="CASCADE"), nullable=False),
    Column("audience", String(8), nullable=False),
    Column("who", Words, nullable=False),
    Column("may_edit", Boolean, nullable=False),
    Column("expires_at", Moment),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("query_id", "audience", "who"),
    Index(None, "audience", "who"),
)
SUMMARY = [QUERIES.c[each.name] for each in dataclasses.fields(Summary)]


def version_row(query_id: str, version: Version) -> dict[str, Any]:
    """A version as a row."""
    content = {each.name: getattr(version.content, each.name) for each in dataclasses.fields(Content)}
    uploads = [[upload.name, upload.uri] for upload in version.content.uploads]
    return {
        **content,
        "uploads": uploads,
        "tags": list(version.content.tags),
        "query_id": query_id,
        "number": version.number,
        "note": version.note,
        "author": version.author,
        "created_at": version.created_at,
        "based_on": version.based_on,
        "run_id": version.run.id if version.run else None,
    }


def version_from(row: RowMapping, run: QueryRun | None, former: QueryRun | None) -> Version:
    """A version from its row and the runs that belong to it."""
    lists = {"tags": tuple(row["tags"]), "uploads": tuple(Upload(*pair) for pair in row["uploads"])}
    names = [each.name for each in dataclasses.fields(Content)]
    content = Content(**{**{name: row[name] for name in names}, **lists})
    own = ("number", "note", "author", "created_at", "based_on")
    return Version(content=content, run=run, former=former, **{name: row[name] for name in own})


def run_row(run: QueryRun) -> dict[str, Any]:
    """A run as a row."""
    return {**_members(run), "groups": list(run.groups), "tables": list(run.tables)}


def run_from(row: RowMapping) -> QueryRun:
    """A run from its row."""
    return QueryRun(**{**row, "groups": tuple(row["groups"]), "tables": tuple(row["tables"])})


def share_row(query_id: str, share: Share) -> dict[str, Any]:
    """A share as a row."""
    return {**_members(share), "audience": share.audience.value, "query_id": query_id}


def share_from(row: RowMapping) -> Share:
    """A share from its row."""
    members = {name: value for name, value in row.items() if name != "query_id"}
    return Share(**{**members, "audience": Audience(row["audience"])})


def summary_from(row: RowMapping) -> Summary:
    """A summary from its row."""
    return Summary(**{**row, "tags": tuple(row["tags"]), "releases": tuple(row["releases"])})


def _members(model: Any) -> dict[str, Any]:  # noqa: ANN401 -- any dataclass
    return {each.name: getattr(model, each.name) for each in dataclasses.fields(model)}
