"""The embedded engine: plans run in a pool of locked DuckDB worker processes."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping

import pyarrow as pa

from pachon.core.errors import LimitError, PachonError, UnavailableError
from pachon.core.fields import arrow_schema
from pachon.queries.engines.duckdb_errors import value_error
from pachon.queries.engines.duckdb_sql import Statement, write
from pachon.queries.engines.engine import OutgrownError
from pachon.queries.engines.frames import ClosedError, Kind
from pachon.queries.engines.pool import PoolLimits, WorkerPool
from pachon.queries.engines.worker import WorkerProcess
from pachon.queries.estimate.models import TimeClass
from pachon.queries.plan import Op, Plan

_LOG = logging.getLogger(__name__)
_CANCEL_WITHIN_S = 0.9
_GRACE_S = 1.0
_TOO_SMALL = frozenset({"memory", "spill"})


class EngineFaultError(RuntimeError):
    """The engine refused a plan it should have taken: a fault of ours."""


class DuckDBRun:
    """A plan running in a borrowed worker.

    Parameters
    ----------
    is_last
        Whether the worker is ended afterwards and replaced.
    """

    def __init__(
        self, pool: WorkerPool, statement: Statement, *, schema: pa.Schema, timeout_s: float, is_last: bool = False
    ) -> None:
        self._pool = pool
        self._is_last = is_last
        self._schema = schema
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._outgrown_at = time.monotonic() + (pool.limits.time_limit_s or timeout_s)
        self._has_rows = False
        self._turn = threading.Lock()
        self._arrow_schema: pa.Schema | None = None
        self._worker: WorkerProcess | None = pool.lease(overdue_at=self._deadline + _GRACE_S)
        try:
            self._worker.start(statement)
        except (ClosedError, TimeoutError):
            self._give_back(usable=False)
            raise _lost() from None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._next()) is not None:
            yield batch

    def close(self) -> None:
        """Cancel if it still runs, and give the worker back; the pool ends one that does not obey."""
        worker = self._worker
        if worker is None:
            return
        self._pool.hurry(worker, overdue_at=time.monotonic() + _CANCEL_WITHIN_S)
        try:
            worker.cancel()
        except (ClosedError, TimeoutError):
            _LOG.info("query worker %s was gone before it could be told to stop", worker.pid)
        with self._turn:
            self._drain()

    def _drain(self) -> None:
        if self._worker is None:
            return
        deadline = time.monotonic() + _CANCEL_WITHIN_S
        try:
            while self._worker.receive(deadline=deadline)[0] not in {Kind.DONE, Kind.FAILED}:
                pass
        except (ClosedError, TimeoutError):
            self._give_back(usable=False)
        else:
            self._give_back(usable=True)

    def _next(self) -> pa.RecordBatch | None:
        with self._turn:
            while (worker := self._worker) is not None:
                try:
                    kind, payload = worker.receive(deadline=self._patience())
                except TimeoutError:
                    self._stop_late(worker)
                except ClosedError:
                    self._give_back(usable=False)
                    raise (self._late() if time.monotonic() > self._deadline else _lost()) from None
                if kind is Kind.SCHEMA:
                    self._arrow_schema = pa.ipc.read_schema(pa.py_buffer(payload))
                elif kind is Kind.BATCH:
                    self._has_rows = True
                    return self._conform(pa.ipc.read_record_batch(pa.py_buffer(payload), self._arrow_schema))
                else:
                    self._finish(kind, payload)
            return None

    def _patience(self) -> float:
        """Until when the next message is waited for."""
        return self._deadline if self._has_rows else min(self._deadline, self._outgrown_at)

    def _finish(self, kind: Kind, payload: bytearray) -> None:
        self._give_back(usable=True)
        if kind is Kind.FAILED:
            failure = json.loads(payload)
            if failure["kind"] in _TOO_SMALL and not self._has_rows and self._pool.limits.time_limit_s is not None:
                raise OutgrownError
            raise _explain(failure["kind"], failure["detail"])

    def _stop_late(self, worker: WorkerProcess) -> None:
        try:
            worker.cancel()
        except (ClosedError, TimeoutError):
            _LOG.info("query worker %s was gone when its time was over", worker.pid)
        self._drain()
        raise (self._late() if time.monotonic() >= self._deadline else OutgrownError()) from None

    def _late(self) -> LimitError:
        return LimitError(
            f"The query ran longer than the {self._timeout_s:g} s allowed; narrow it (a smaller region, fewer rows)."
        )

    def _conform(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [
            column if column.type == field.type else column.cast(field.type)
            for column, field in zip(batch.columns, self._schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _give_back(self, *, usable: bool) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            self._pool.release(worker, usable=usable and not self._is_last)


def _lost() -> UnavailableError:
    return UnavailableError("The process that ran this query ended unexpectedly; please try again.", retry_after_s=1)


def _explain(kind: str, detail: str) -> Exception:
    """Engine errors stop here; what the engine said is logged, never shown."""
    known: dict[str, PachonError] = {
        "interrupted": UnavailableError("The query was stopped.", retry_after_s=1),
        "memory": LimitError(
            "The query needs more memory than one query may use; ask for fewer columns, or sort or group fewer rows."
        ),
        "spill": LimitError(
            "The query needs more memory and disk for its intermediate results than it may use now; "
            "sort or group fewer rows, or try again later."
        ),
        "range": value_error(kind, detail),
        "conversion": value_error(kind, detail),
        "files": UnavailableError("Files of this table could not be read; please try again.", retry_after_s=10),
    }
    if kind in known:
        _LOG.info("query ended: %s: %s", kind, detail)
        return known[kind]
    return EngineFaultError(detail)


class DuckDBEngine:
    """Runs plans on the files of the releases, each class of work in a pool of its own.

    Parameters
    ----------
    pools
        What the workers of each class may use; a class that is left out has none.
    """

    def __init__(self, pools: Mapping[TimeClass, PoolLimits]) -> None:
        self.pools = {time_class: WorkerPool(limits, name=time_class) for time_class, limits in pools.items()}

    @property
    def operations(self) -> frozenset[Op]:
        """All of them."""
        return frozenset(Op)

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers, for the supervisor and tests."""
        return tuple(pid for pool in self.pools.values() for pid in pool.pids)

    def start(self) -> None:
        """Prewarm the workers that are kept; returns at once."""
        for pool in self.pools.values():
            pool.start()

    def execute(self, plan: Plan, *, timeout_s: float, time_class: TimeClass = TimeClass.SHORT) -> DuckDBRun:
        """Start a plan: see `engine.Engine`. A worker that read what somebody sent serves nobody else."""
        schema, is_last = arrow_schema(plan.fields), plan.reads_upload
        return DuckDBRun(self.pools[time_class], write(plan), schema=schema, timeout_s=timeout_s, is_last=is_last)

    def ready(self) -> bool:
        """Whether a worker is alive."""
        return bool(self.worker_pids)

    def broken(self) -> tuple[TimeClass, ...]:
        """The classes whose workers do not start."""
        return tuple(time_class for time_class, pool in self.pools.items() if pool.is_broken)

    def close(self) -> None:
        """End all workers."""
        for pool in self.pools.values():
            pool.close()
