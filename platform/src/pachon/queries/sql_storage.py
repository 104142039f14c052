"""Executions in the state database."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Engine,
    Index,
    RowMapping,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

from pachon.core.errors import ConflictError, NotFoundError
from pachon.queries.models import Execution, Phase, Protocol
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
    Index(None, "owner", "id"),
    Index(None, "destruction"),
)
_INSERT = insert(EXECUTIONS)


class SqlExecutionStore:
    """Keeps the promise of `queries.storage.ExecutionStore` on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, execution: Execution) -> None:
        """Keep an execution and publish that it ended, in one transaction."""
        try:
            with writing(self._engine) as connection:
                connection.execute(_INSERT, _to_row(execution))
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

    def forget(self, before: datetime) -> int:
        """Delete the executions whose destruction lies before a moment."""
        with writing(self._engine) as connection:
            return connection.execute(delete(EXECUTIONS).where(EXECUTIONS.c.destruction < before)).rowcount


def _to_row(execution: Execution) -> dict[str, Any]:
    return {field.name: getattr(execution, field.name) for field in dataclasses.fields(execution)}


def _from_row(row: RowMapping) -> Execution:
    translated = {"tables": tuple(row["tables"]), "protocol": Protocol(row["protocol"]), "phase": Phase(row["phase"])}
    return Execution(**{**row, **translated})


def _news(execution: Execution) -> Mapping[str, Any]:
    return {
        "id": execution.id,
        "protocol": execution.protocol.value,
        "phase": execution.phase.value,
        "row_count": execution.row_count,
        "overflow": execution.overflow,
    }
