"""Executions in the state database."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Engine,
    Executable,
    Float,
    Index,
    RowMapping,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from pachon.core.errors import ConflictError, NotFoundError
from pachon.queries.estimate.models import TimeClass
from pachon.queries.models import Execution, Phase, Protocol, Total
from pachon.queries.storage import EXECUTION_ENDED
from pachon.state.database import reading, writing
from pachon.state.metadata import METADATA, Moment, Words
from pachon.state.outbox import publish

EXECUTIONS = Table(
    "executions",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("owner", Words, nullable=False),
    Column("protocol", String(32), nullable=False),
    Column("query", Words, nullable=False),
    Column("tables", JSON, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
    Column("destruction", Moment, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("overflow", Boolean, nullable=False),
    Column("error", Words),
    Column("time_class", String(16), nullable=False, server_default=TimeClass.SHORT),
    Column("client", Words),
    Index(None, "owner", "id"),
    Index(None, "destruction"),
)
QUERY_TOTALS = Table(
    "query_totals",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("protocol", String(32), primary_key=True),
    Column("phase", String(16), primary_key=True),
    Column("time_class", String(16), primary_key=True),
    Column("runs", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
)
_INSERT = insert(EXECUTIONS)
_KEY = ("day", "protocol", "phase", "time_class")
_SUMS = ("runs", "row_count", "size_bytes", "seconds")


class SqlExecutionStore:
    """Keeps the promise of `queries.storage.ExecutionStore` on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, execution: Execution) -> None:
        """Keep an execution and publish that it ended, in one transaction."""
        try:
            with writing(self._engine) as connection:
                connection.execute(_INSERT, _to_row(execution))
                connection.execute(_addition(connection.dialect.name), _summand(execution))
                publish(connection, EXECUTION_ENDED, execution.owner, _news(execution))
        except IntegrityError as error:
            raise ConflictError(f"There is an execution '{execution.id}' already.") from error

    def get(self, owner: str, execution_id: str) -> Execution:
        """One execution of this owner."""
        wanted = select(EXECUTIONS).where(EXECUTIONS.c.id == execution_id, EXECUTIONS.c.owner == owner)
        with reading(self._engine) as connection:
            row = connection.execute(wanted).mappings().one_or_none()
        if row is None:
            raise NotFoundError(f"There is no execution '{execution_id}' of yours; it may have been forgotten.")
        return _from_row(row)

    def list(self, owner: str, *, limit: int, before_id: str | None = None) -> tuple[Execution, ...]:
        """At most `limit` executions of this owner, newest first."""
        wanted = select(EXECUTIONS).where(EXECUTIONS.c.owner == owner).order_by(EXECUTIONS.c.id.desc()).limit(limit)
        if before_id is not None:
            wanted = wanted.where(EXECUTIONS.c.id < before_id)
        with reading(self._engine) as connection:
            return tuple(_from_row(row) for row in connection.execute(wanted).mappings())

    def totals(self, first: date, last: date) -> tuple[Total, ...]:
        """What all people together ran on each of some days."""
        wanted = select(QUERY_TOTALS).where(QUERY_TOTALS.c.day.between(first, last))
        ordered = wanted.order_by(*(QUERY_TOTALS.c[name] for name in _KEY))
        with reading(self._engine) as connection:
            return tuple(Total(**{**row, **_enums(row)}) for row in connection.execute(ordered).mappings())

    def forget(self, before: datetime) -> int:
        """Delete the executions whose destruction lies before a moment."""
        with writing(self._engine) as connection:
            return connection.execute(delete(EXECUTIONS).where(EXECUTIONS.c.destruction < before)).rowcount


def _to_row(execution: Execution) -> dict[str, Any]:
    return {field.name: getattr(execution, field.name) for field in dataclasses.fields(execution)}


def _from_row(row: RowMapping) -> Execution:
    return Execution(**{**row, "tables": tuple(row["tables"]), "client": row["client"] or "", **_enums(row)})


def _enums(row: RowMapping) -> dict[str, Any]:
    return {
        "protocol": Protocol(row["protocol"]),
        "phase": Phase(row["phase"]),
        "time_class": TimeClass(row["time_class"]),
    }


@cache
def _addition(dialect: str) -> Executable:
    """A row of the totals, or more of what is there (both databases know ON CONFLICT, each in its own module)."""
    row = postgresql.insert(QUERY_TOTALS) if dialect == "postgresql" else sqlite.insert(QUERY_TOTALS)
    sums = {name: QUERY_TOTALS.c[name] + row.excluded[name] for name in _SUMS}
    return row.on_conflict_do_update(index_elements=_KEY, set_=sums)


def _summand(execution: Execution) -> dict[str, Any]:
    return {
        "day": execution.ended_at.astimezone(UTC).date(),
        "protocol": execution.protocol,
        "phase": execution.phase,
        "time_class": execution.time_class,
        "runs": 1,
        "row_count": execution.row_count,
        "size_bytes": execution.size_bytes,
        "seconds": (execution.ended_at - execution.started_at).total_seconds(),
    }


def _news(execution: Execution) -> Mapping[str, Any]:
    return {
        "id": execution.id,
        "protocol": execution.protocol.value,
        "phase": execution.phase.value,
        "client": execution.client,
        "row_count": execution.row_count,
        "overflow": execution.overflow,
    }
