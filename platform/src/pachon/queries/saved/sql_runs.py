"""Runs of saved queries in the state database."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, exists, func, insert, or_, select, update

from pachon.core.errors import ConflictError, NotFoundError
from pachon.queries.saved import sql_search
from pachon.queries.saved.models import QueryRun
from pachon.queries.saved.sql_storage import announce, lock, next_place, read_query
from pachon.queries.saved.sql_tables import QUERIES, RUNS, VERSIONS, run_from, run_row
from pachon.state.database import reading, writing


class SqlQueryRunStore:
    """Keeps the promise of `storage.QueryRunStore` on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, run: QueryRun) -> None:
        """Keep a run as the newest of its version; the query's row is locked meanwhile."""
        version = (VERSIONS.c.query_id == run.query_id, VERSIONS.c.number == run.version)
        with writing(self._engine) as connection:
            old_place = lock(connection, run.query_id)
            before = _before(connection, run)
            if before is not None and not before.is_over:
                raise ConflictError(f"Version {run.version} of this query is running already.")
            run = replace(run, former_id=None if before is None else _with_rows(before))
            connection.execute(insert(RUNS), run_row(run))
            if not connection.execute(update(VERSIONS).where(*version).values(run_id=run.id)).rowcount:
                raise NotFoundError(f"This query has no version {run.version}.")
            _tell(connection, run, old_place)

    def change(self, run_id: str, edit: Callable[[QueryRun], QueryRun]) -> QueryRun:
        """Replace a run; the query's row is locked meanwhile."""
        with writing(self._engine) as connection:
            old = _one(connection, run_id)
            old_place = lock(connection, old.query_id)
            old = _one(connection, run_id)
            new = edit(old)
            if new != old:
                connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(run_row(new)))
                _tell(connection, new, old_place)
        return new

    def get(self, run_id: str) -> QueryRun:
        """A run."""
        with reading(self._engine) as connection:
            return _one(connection, run_id)

    def of_job(self, job_id: str) -> tuple[QueryRun, ...]:
        """The runs that a job is for."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(RUNS).where(RUNS.c.job_id == job_id)).mappings()
            return tuple(run_from(row) for row in rows)

    def of_execution(self, owner: str, *, job_id: str | None, execution_id: str | None) -> str | None:
        """Id of a query that was made from a job or an execution."""
        given = {RUNS.c.job_id: job_id, RUNS.c.execution_id: execution_id}
        conditions = [column == value for column, value in given.items() if value is not None]
        wanted = (
            select(RUNS.c.query_id)
            .join_from(RUNS, QUERIES, RUNS.c.query_id == QUERIES.c.id)
            .where(QUERIES.c.owner == owner, conditions[0])
            .limit(1)
        )
        with reading(self._engine) as connection:
            return connection.scalar(wanted)

    def used_bytes(self, owner: str) -> int:
        """Size of the results kept with the queries of this owner."""
        wanted = (
            select(func.sum(RUNS.c.result_bytes))
            .join_from(QUERIES, RUNS, RUNS.c.query_id == QUERIES.c.id)
            .where(QUERIES.c.owner == owner)
        )
        with reading(self._engine) as connection:
            return int(connection.scalar(wanted) or 0)

    def has_version(self, run_id: str, *, besides: str = "") -> bool:
        """Whether a version points at a run, or at a later one that falls back on its rows."""
        later = select(RUNS.c.id).where(RUNS.c.former_id == run_id, RUNS.c.id != besides)
        points = or_(VERSIONS.c.run_id == run_id, VERSIONS.c.run_id.in_(later))
        with reading(self._engine) as connection:
            return bool(connection.scalar(select(exists().where(points))))

    def known(self, run_ids: Collection[str]) -> frozenset[str]:
        """Which of these runs there are."""
        with reading(self._engine) as connection:
            return frozenset(connection.scalars(select(RUNS.c.id).where(RUNS.c.id.in_(run_ids))))


def _before(connection: Connection, run: QueryRun) -> QueryRun | None:
    """The run that the version of a new one points at."""
    version = (VERSIONS.c.query_id == run.query_id, VERSIONS.c.number == run.version)
    wanted = select(RUNS).join(VERSIONS, VERSIONS.c.run_id == RUNS.c.id).where(*version)
    row = connection.execute(wanted).mappings().one_or_none()
    return None if row is None else run_from(row)


def _with_rows(run: QueryRun) -> str | None:
    return run.former_id if run.result_bytes is None else run.id


def _one(connection: Connection, run_id: str) -> QueryRun:
    row = connection.execute(select(RUNS).where(RUNS.c.id == run_id)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"There is no run '{run_id}' any more.")
    return run_from(row)


def _tell(connection: Connection, run: QueryRun, old_place: int) -> None:
    """Show a run in the list if it is the newest version's, and tell those who may see the query."""
    query = read_query(connection, run.query_id)
    shown = query.newest.run
    changes: dict[str, Any] = {"place": next_place(connection)}
    if shown is not None and shown.id == run.id:
        changes |= {"state": run.phase, "row_count": run.row_count if run.is_over else None}
    connection.execute(update(QUERIES).where(QUERIES.c.id == run.query_id).values(changes))
    sql_search.move_words(connection, changes["place"], old_place=old_place)
    announce(connection, query, "run")
