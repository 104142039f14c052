"""Asks catalogues: binds a request for one person, runs it, and keeps a record of every run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from pachon.core import clock
from pachon.core.clock import Clock
from pachon.core.errors import LimitError, NotFoundError, PachonError, UsageError
from pachon.core.fields import DataType, Field
from pachon.core.ids import new_id
from pachon.core.sky import Cone
from pachon.identity.models import Principal, Scope
from pachon.queries.adql.bind import Catalogue, bind
from pachon.queries.adql.cover import cone_ranges
from pachon.queries.adql.words import suggestion
from pachon.queries.engines.engine import Engine, OutgrownError, Run, WorkersBusyError
from pachon.queries.estimate.models import Load, PlanClassifier, TimeClass
from pachon.queries.models import Answer, Execution, Phase, Protocol, QueryLimits
from pachon.queries.origins import told_fields
from pachon.queries.plan import (
    UPLOAD_SCHEMA,
    Call,
    ColumnRef,
    Literal,
    MemorySnapshot,
    Op,
    Output,
    Plan,
    Scan,
    Select,
)
from pachon.queries.storage import ExecutionStore
from pachon.releases.models import Snapshot, Table
from pachon.releases.service import ReleaseService
from pachon.rights.models import Access

_LOG = logging.getLogger(__name__)
_KEPT_CHARS = 10_000
"""How much is kept of the text of an anonymous or failed run: refused queries must not fill the disk."""
_ANONYMOUS_KEPT = timedelta(hours=6)

ExtraTables = Callable[[Principal], Mapping[str, MemorySnapshot]]
"""In-memory tables a person may query beside the releases, by qualified name (TAP_SCHEMA)."""
Uploads = Mapping[str, Snapshot]
"""Tables that a request brings along, by qualified name."""
_NO_UPLOADS: Uploads = {}


def no_extra_tables(_principal: Principal) -> Mapping[str, MemorySnapshot]:
    """Releases only."""
    return {}


class Unsorted:
    """A `PlanClassifier` for services without statistics: every plan is short."""

    def load(self, plan: Plan) -> Load:
        """Always short."""
        del plan
        return Load()


def _stay(_time_class: TimeClass) -> None:
    """For queries that hold no turn."""


@dataclass(slots=True)
class _Record:
    """What is known of a run while it runs."""

    id: str
    principal: Principal
    protocol: Protocol
    query: str
    started_at: datetime
    client: str
    tables: tuple[str, ...] = ()
    row_count: int = 0
    size_bytes: int = 0
    phase: Phase = Phase.ABORTED
    error: str | None = None
    is_given_up: bool = False
    is_queued: bool = False
    time_class: TimeClass = TimeClass.SHORT
    run: Run | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A bound query that has not begun to run.

    Parameters
    ----------
    load
        What it asks of a worker.
    record
        Where its run is noted.
    on_outgrown
        Told which class goes on with it, when it turns out to be larger than its own. From any thread.
    """

    plan: Plan
    load: Load
    record: _Record = field(repr=False)
    on_outgrown: Callable[[TimeClass], None] = field(default=_stay, repr=False)


class QueryService:
    """Answers ADQL queries and cones, for one person at a time. Blocking, and safe to use from many threads.

    Parameters
    ----------
    releases
        What each person may see.
    engine
        Where plans run.
    executions
        Where the record of each run is kept.
    limits
        Limits of one query.
    classifier
        Knows which class of workers a plan belongs to.
    extra_tables
        In-memory tables beside the releases, by qualified name, for a person.
    """

    def __init__(
        self,
        releases: ReleaseService,
        engine: Engine,
        executions: ExecutionStore,
        limits: QueryLimits | None = None,
        *,
        classifier: PlanClassifier | None = None,
        extra_tables: ExtraTables = no_extra_tables,
        now: Clock = clock.now,
    ) -> None:
        self._releases = releases
        self._engine = engine
        self._executions = executions
        self._limits = limits or QueryLimits()
        self._classifier = classifier or Unsorted()
        self._extra_tables = extra_tables
        self._now = now

    def ask(
        self,
        principal: Principal,
        adql: str,
        *,
        max_rows: int | None = None,
        protocol: Protocol = Protocol.TAP_SYNC,
        timeout_s: float | None = None,
        time_class: TimeClass | None = None,
        uploads: Uploads = _NO_UPLOADS,
        client: str = "",
    ) -> Answer:
        """Bind an ADQL query and run it at once: see `prepare` and `start`."""
        prepared = self.prepare(principal, adql, max_rows=max_rows, protocol=protocol, uploads=uploads, client=client)
        return self.start(prepared, timeout_s=timeout_s, time_class=time_class)

    def prepare(
        self,
        principal: Principal,
        adql: str,
        *,
        max_rows: int | None = None,
        protocol: Protocol = Protocol.TAP_SYNC,
        uploads: Uploads = _NO_UPLOADS,
        client: str = "",
    ) -> Prepared:
        """Bind an ADQL query and find the class it belongs to.

        Parameters
        ----------
        max_rows
            MAXREC; None for the default, more than the limit counts as the limit.
        uploads
            Tables of this query alone, by qualified name.
        client
            Program that asks, by `clients.client_of`.

        Raises
        ------
        QuerySyntaxError
            Wrong ADQL, with position and nearest names.
        LimitError
            Over a limit; a query that is known to outlast the time of synchronous ones has to be a job.
        UsageError, UnavailableError, ForbiddenError
            As their names say.
        """
        record = self._record(principal, protocol, adql, client)
        return self._prepared(record, lambda: self._bind(principal, adql, self._rows(max_rows), uploads))

    def plan(self, principal: Principal, adql: str, *, max_rows: int | None = None) -> Plan:
        """Bind an ADQL query without running it.

        Raises
        ------
        QuerySyntaxError, LimitError, UsageError, ForbiddenError
            As `ask`.
        """
        if not principal.is_anonymous:
            principal.require(Scope.QUERY)
        return self._bind(principal, adql, self._rows(max_rows), None)

    def load(self, principal: Principal, adql: str, *, max_rows: int | None = None) -> Load:
        """What running a query would ask of a worker.

        Raises
        ------
        QuerySyntaxError, LimitError, UsageError, ForbiddenError
            As `prepare`.
        """
        return self._classifier.load(self.plan(principal, adql, max_rows=max_rows))

    def prepare_cone(
        self,
        principal: Principal,
        table_name: str,
        cone: Cone,
        *,
        columns: tuple[str, ...] | None = None,
        max_rows: int | None = None,
        client: str = "",
    ) -> Prepared:
        """The rows of a table inside a cone, boundary included, as a query.

        Parameters
        ----------
        table_name
            Qualified name, in any case.
        columns
            Names of the columns wanted; None for all.
        client
            Program that asks, by `clients.client_of`.

        Raises
        ------
        NotFoundError
            If there is no such table for this person.
        UsageError
            If the table has no positions or a column is unknown.
        """
        request = f"CONE {table_name} {cone.ra_deg!r} {cone.dec_deg!r} {cone.radius_deg!r}"

        def make() -> Plan:
            snapshot = self._releases.snapshot(principal, table_name)
            return cone_plan(snapshot, cone, columns=columns, max_rows=self._rows(max_rows))

        return self._prepared(self._record(principal, Protocol.SCS, request, client), make)

    def start(
        self, prepared: Prepared, *, timeout_s: float | None = None, time_class: TimeClass | None = None
    ) -> Answer:
        """Run a bound query.

        Parameters
        ----------
        timeout_s
            How long it may run; None for the time of a synchronous query.
        time_class
            The class of workers that runs it; None for the one it belongs to.

        Returns
        -------
        Answer
            Running; it must be closed. Closing it from another thread ends it, also before its first row.

        Raises
        ------
        UnavailableError
            If no worker became free in time. What is found out while the query runs is raised when the batches are
            read; of a job also `OutgrownError`, while all others go on in the larger class.
        """
        record, plan = prepared.record, prepared.plan
        record.started_at = self._now()
        record.time_class = time_class or prepared.load.time_class
        timeout_s = timeout_s or self._limits.sync_timeout_s
        until = time.monotonic() + timeout_s
        try:
            record.run = self._engine.execute(plan, timeout_s=timeout_s, time_class=record.time_class)
        except Exception as error:
            is_queued = record.protocol is Protocol.TAP_ASYNC and isinstance(error, WorkersBusyError)
            if not is_queued:
                self._keep_failed(record, error)
            raise
        answer = Answer(
            execution_id=record.id,
            fields=told_fields(plan),
            batches=iter(()),
            max_rows=plan.max_rows or 0,
            tables=plan.tables,
            warnings=plan.warnings,
            on_close=lambda closed: self._close(record, closed),
        )
        answer.batches = self._rows_of(record, self._batches(prepared, until), answer)
        return answer

    def _prepared(self, record: _Record, make: Callable[[], Plan]) -> Prepared:
        try:
            plan = make()
            record.tables = plan.tables
            load = self._classifier.load(plan)
            record.time_class = load.time_class
            if record.protocol is not Protocol.TAP_ASYNC:
                self._limits.check_time(load)
        except Exception as error:
            self._keep_failed(record, error)
            raise
        return Prepared(plan, load, record)

    def _batches(self, prepared: Prepared, until: float) -> Iterator[pa.RecordBatch]:
        """The rows of the run, and of the next larger class where it is outgrown before its first row."""
        record = prepared.record
        while record.run is not None:
            try:
                yield from record.run
            except OutgrownError:
                if record.protocol is Protocol.TAP_ASYNC:
                    raise
                self._move_on(prepared, until)
            else:
                return

    def _move_on(self, prepared: Prepared, until: float) -> None:
        record = prepared.record
        record.time_class = record.time_class.larger
        _LOG.info("run %s goes on in class %s", record.id, record.time_class)
        prepared.on_outgrown(record.time_class)
        timeout_s = max(until - time.monotonic(), 0.001)
        record.run = self._engine.execute(prepared.plan, timeout_s=timeout_s, time_class=record.time_class)
        if record.is_given_up:
            record.run.close()

    def _bind(self, principal: Principal, adql: str, max_rows: int, uploads: Uploads | None) -> Plan:
        if len(adql) > self._limits.max_query_chars:
            message = f"The query has {len(adql)} characters; at most {self._limits.max_query_chars} are allowed."
            raise LimitError(message, parameter="QUERY")
        return bind(adql, self._catalogue(principal, uploads), max_rows=max_rows)

    def _catalogue(self, principal: Principal, uploads: Uploads | None = None) -> Catalogue:
        extra: dict[str, Snapshot | MemorySnapshot] = {**self._extra_tables(principal), **(uploads or {})}
        tables = {table.qualified_name: table for table in self._releases.tables(principal, Access.QUERY)}
        tables |= {name: snapshot.table for name, snapshot in extra.items()}

        def snapshot(name: str) -> Snapshot | MemorySnapshot:
            return extra[name] if name in extra else self._releases.snapshot(principal, name)

        return Catalogue(
            tables, snapshot, lambda name: _no_upload(name, uploads) or self._releases.refusal(principal, name)
        )

    def _rows(self, max_rows: int | None) -> int:
        if max_rows is None:
            return min(self._limits.default_rows, self._limits.max_rows)
        if max_rows < 0:
            message = f"MAXREC must be 0 or more (at most {self._limits.max_rows}), not {max_rows}."
            raise UsageError(message, parameter="MAXREC")
        return min(max_rows, self._limits.max_rows)

    def _record(self, principal: Principal, protocol: Protocol, query: str, client: str) -> _Record:
        if not principal.is_anonymous:
            principal.require(Scope.QUERY)
        kept = query[: self._limits.max_query_chars]
        return _Record(new_id(), principal, protocol, kept, self._now(), client)

    def _rows_of(self, record: _Record, run: Iterator[pa.RecordBatch], answer: Answer) -> Iterator[pa.RecordBatch]:
        try:
            for batch in run:
                room = answer.max_rows - record.row_count
                if batch.num_rows > room:
                    answer.overflow = True
                    batch = batch.slice(0, room)  # noqa: PLW2901 -- the rows that are delivered
                record.row_count += batch.num_rows
                record.size_bytes += batch.nbytes
                if batch.num_rows:
                    yield batch
        except Exception as error:
            if not record.is_given_up:
                record.phase, record.error = Phase.ERROR, _told(error)
            record.is_queued = isinstance(error, OutgrownError)
            raise
        if not record.is_given_up:
            record.phase = Phase.COMPLETED

    def _close(self, record: _Record, answer: Answer) -> None:
        record.is_given_up = True
        if record.run is not None:
            record.run.close()
        if answer.overflow and record.error is None:
            record.phase = Phase.COMPLETED
        if not record.is_queued:
            self._keep(record, overflow=answer.overflow)

    def _keep_failed(self, record: _Record, error: Exception) -> None:
        told = _told(error)
        record.phase, record.error = Phase.ERROR, told if record.tables else _without_hints(told)
        self._keep(record, overflow=False)

    def _keep(self, record: _Record, *, overflow: bool) -> None:
        ended_at = self._now()
        anonymous = record.principal.is_anonymous
        whole = record.phase is Phase.COMPLETED and not anonymous
        execution = Execution(
            id=record.id,
            owner=record.principal.name,
            protocol=record.protocol,
            query=record.query if whole else record.query[:_KEPT_CHARS],
            tables=record.tables,
            phase=record.phase,
            started_at=record.started_at,
            ended_at=ended_at,
            destruction=ended_at
            + (_ANONYMOUS_KEPT if anonymous else timedelta(days=self._limits.keep_executions_days)),
            row_count=record.row_count,
            size_bytes=record.size_bytes,
            overflow=overflow,
            error=record.error,
            client=record.client,
            time_class=record.time_class,
        )
        try:
            self._executions.add(execution)
        except Exception:  # noqa: BLE001 -- an answer that was delivered stays delivered; logged
            _LOG.exception("the record of execution %s could not be kept", record.id)


def _told(error: Exception) -> str:
    return error.message if isinstance(error, PachonError) else "internal error"


def _without_hints(told: str) -> str:
    """What was wrong, without the names that would have been right: the record may outlive the right to know them."""
    return told.partition("; ")[0]


def cone_plan(snapshot: Snapshot, cone: Cone, *, columns: tuple[str, ...] | None, max_rows: int) -> Plan:
    """The plan of a cone search on the principal position of a table.

    Raises
    ------
    UsageError
        If the table has no positions or a column is unknown.
    """
    table = snapshot.table
    places = {column.name: index for index, column in enumerate(table.columns)}
    if table.ra_column is None or table.dec_column is None:
        raise UsageError(f"Table {table.qualified_name} has no positions, so it cannot be searched by cone.")
    wanted = _wanted(table, columns)
    position = tuple(ColumnRef(0, places[name], _field(table, name)) for name in (table.ra_column, table.dec_column))
    numbers = tuple(Literal(value, _NUMBER) for value in (cone.ra_deg, cone.dec_deg, cone.radius_deg))
    inside = Call(Op.IN_CIRCLE, (*position, *numbers), Field(name="inside", datatype=DataType.BOOLEAN))
    outputs = tuple(Output(name, ColumnRef(0, places[name], _field(table, name))) for name in wanted)
    return Plan(
        query=Select(outputs=outputs, source=Scan(0, snapshot, cone_ranges(cone)), where=inside), max_rows=max_rows
    )


_NUMBER = Field(name="value", datatype=DataType.DOUBLE)


def _field(table: Table, name: str) -> Field:
    return next(column.field for column in table.columns if column.name == name)


def _wanted(table: Table, columns: tuple[str, ...] | None) -> tuple[str, ...]:
    names = [column.name for column in table.columns]
    if columns is None:
        return tuple(names)
    by_lower = {name.lower(): name for name in names}
    for name in columns:
        if name.lower() not in by_lower:
            near = suggestion(name, names) or "."
            raise NotFoundError(f"Table {table.qualified_name} has no column '{name}'{near}")
    return tuple(by_lower[name.lower()] for name in columns)


def _no_upload(name: str, uploads: Uploads | None) -> str | None:
    """Why a table that should come with a query is not there; None for others, and if some came that have other names.

    Parameters
    ----------
    uploads
        None if the query is not sent yet.
    """
    schema, _, table = name.partition(".")
    if schema.upper() != UPLOAD_SCHEMA or uploads:
        return None
    if uploads is None:
        return f"'{name}' is not here yet: tables that come with a query cannot be estimated before it is sent."
    return f"no table was uploaded as '{table}': send UPLOAD={table},<URI> with the query, or param:<file> as the URI."
