"""Requests, answers and executions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

import pyarrow as pa

from pachon.core.errors import LimitError
from pachon.core.fields import Field
from pachon.queries.estimate.models import Load, TimeClass
from pachon.queries.line import spoken_s


class Protocol(StrEnum):
    """The door a query came through."""

    TAP_SYNC = "tap/sync"
    TAP_ASYNC = "tap/async"
    SCS = "scs"


class Phase(StrEnum):
    """How an execution ended (UWS 1.1 words)."""

    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"


_CLEARLY = 3.0
"""Estimates are right within about this factor: what is expected to take less of a limit more is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """Limits of one query.

    Parameters
    ----------
    default_rows
        Rows delivered when the request names no number.
    max_rows
        The most rows a request may name; a larger number counts as this one.
    sync_timeout_s
        How long a query may run, seconds.
    keep_executions_days
        How long the record of a run is kept.
    max_query_chars
        The longest ADQL text.
    jobs_address
        Public address where queries are asked as jobs, for messages.
    job_max_duration_s
        How long a job may execute at most.
    """

    default_rows: int = 100_000
    max_rows: int = 10_000_000
    sync_timeout_s: float = 60
    keep_executions_days: float = 7
    max_query_chars: int = 250_000
    jobs_address: str = "/api/tap/async"
    job_max_duration_s: float = 14_400

    def check_time(self, load: Load) -> None:
        """Refuse a query that cannot be answered synchronously.

        Raises
        ------
        LimitError
            With the reason of `too_long`.
        """
        if (reason := self.too_long(load)) is not None:
            raise LimitError(reason, parameter="QUERY")

    def too_long(self, load: Load) -> str | None:
        """Why a query cannot be answered synchronously, and what to do; None if it can, or if that is not sure."""
        if load.is_rough or load.seconds <= _CLEARLY * self.sync_timeout_s:
            return None
        took = f"It is expected to take about {spoken_s(load.seconds)}, longer than"
        why = "".join(f" {reason}" for reason in load.reasons)
        if self.outlasts_jobs(load):
            return f"{took} any job may run ({spoken_s(self.job_max_duration_s)}): narrow it.{why}"
        took = f"{took} the {self.sync_timeout_s:g} s"
        return f"{took} of a synchronous query: ask it as a job at {self.jobs_address}, where it waits in line.{why}"

    def outlasts_jobs(self, load: Load) -> bool:
        """Whether a query would not end as a job either, for all that is known."""
        return not load.is_rough and load.seconds > _CLEARLY * self.job_max_duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One run of a query, immutable once ended.

    Parameters
    ----------
    owner
        Name of the person; empty for anonymous runs.
    query
        ADQL text, or the request line of a protocol that has none.
    row_count
        Rows delivered.
    size_bytes
        Arrow size of the rows delivered.
    time_class
        The class of workers that ran it.
    destruction
        When the record may be forgotten.
    client
        Program that asked, see `clients.client_of`; empty if it did not say.
    """

    id: str
    owner: str
    protocol: Protocol
    query: str
    tables: tuple[str, ...]
    phase: Phase
    started_at: datetime
    ended_at: datetime
    destruction: datetime
    row_count: int = 0
    size_bytes: int = 0
    overflow: bool = False
    error: str | None = None
    time_class: TimeClass = TimeClass.SHORT
    client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What all people together ran on a day (UTC, by the end of each run), of one protocol, ending and class.

    Parameters
    ----------
    runs
        How many executions.
    row_count, size_bytes, seconds
        Sums over them.
    """

    day: date
    protocol: Protocol
    phase: Phase
    time_class: TimeClass
    runs: int
    row_count: int
    size_bytes: int
    seconds: float


@dataclass(slots=True, kw_only=True)
class Answer:
    """A running answer: rows flow while it is read, nothing is held. Must be closed; iterate it once.

    Parameters
    ----------
    execution_id
        Id of the execution, also sent as `X-Pachon-Execution`.
    fields
        Columns of the rows, in order.
    batches
        Arrow record batches with the schema `core.fields.arrow_schema(fields)`, at most `max_rows` rows in all.
    max_rows
        The limit in force.
    tables
        Qualified names of the tables that are read.
    warnings
        What the query may not mean, a sentence each.
    overflow
        After the last batch: whether there were more rows than `max_rows`.
    on_close
        Called once, with the answer, when reading ended, failed or was given up.
    """

    execution_id: str
    fields: tuple[Field, ...]
    batches: Iterator[pa.RecordBatch]
    max_rows: int
    tables: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    overflow: bool = False
    on_close: Callable[[Answer], None] | None = field(default=None, repr=False)

    def close(self) -> None:
        """Stop reading; frees the worker. Safe to call more than once."""
        callback, self.on_close = self.on_close, None
        if callback is not None:
            callback(self)
