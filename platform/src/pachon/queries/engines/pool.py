"""A pool of workers of one class: each query borrows one; dead or overdue ones are replaced at once."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from pachon.core.errors import UnavailableError
from pachon.queries.engines.engine import WorkersBusyError
from pachon.queries.engines.worker import NotStartedError, WorkerConfig, WorkerProcess

_LOG = logging.getLogger(__name__)
_WATCH_EVERY_S = 0.25
_LOOK_EVERY_S = 0.02
"""While workers start."""
_RETRY_AFTER_S, _MOST_RETRY_AFTER_S = 1.0, 60.0
"""When a worker is started again after one that did not start: twice as late each time, up to a minute."""
_ASK_AGAIN_AFTER_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """What a pool may use.

    Parameters
    ----------
    config
        What each worker may use.
    workers
        How many queries run at once.
    queue_timeout_s
        How long a query may wait for a free worker.
    time_limit_s
        How long a query may work on its first row before it is said to have outgrown its class; None for as long as it
        may run.
    idle_s
        Workers are started when they are needed, and ended when they were not for so long; None if they are started at
        once and kept.
    """

    config: WorkerConfig
    workers: int = 2
    queue_timeout_s: float = 10.0
    time_limit_s: float | None = None
    idle_s: float | None = None


@dataclass(slots=True)
class _Lease:
    worker: WorkerProcess
    overdue_at: float


class WorkerPool:
    """Keeps workers running.

    Parameters
    ----------
    name
        Of the class, in logs.
    """

    def __init__(self, limits: PoolLimits, *, name: str = "query") -> None:
        self.limits = limits
        self._name = name
        self._changed = threading.Condition()
        self._idle: list[WorkerProcess] = []
        self._leases: dict[int, _Lease] = {}
        self._starting: list[WorkerProcess] = []
        self._failures = 0
        self._retry_at = 0.0
        self._waiting = 0
        self._busy_at = time.monotonic()
        self._keeper: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to start the workers; returns at once."""
        with self._changed:
            if self._keeper is None and not self._closed:
                self._keeper = threading.Thread(target=self._keep, name=f"{self._name}-workers", daemon=True)
                self._keeper.start()

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers that run."""
        with self._changed:
            workers = [*self._idle, *(lease.worker for lease in self._leases.values())]
            return tuple(worker.pid for worker in workers if worker.alive)

    @property
    def is_broken(self) -> bool:
        """Whether no worker runs, and the last that was to be started did not start."""
        return self._failures > 0 and not self.pids

    def lease(self, *, overdue_at: float) -> WorkerProcess:
        """Borrow a worker; give it back with `release`.

        Parameters
        ----------
        overdue_at
            When (`time.monotonic()`) the worker is killed if it was not given back.

        Raises
        ------
        WorkersBusyError
            If none became free in time.
        UnavailableError
            If none became free, and the last that was to be started did not start.
        """
        self.start()
        with self._changed:
            worker = self._idle_worker() or self._next_free(time.monotonic() + self.limits.queue_timeout_s)
            if worker is not None:
                self._leases[worker.pid] = _Lease(worker, overdue_at)
                return worker
            is_broken = self._failures > 0
        if is_broken:
            message = "No process that could run this query starts at the moment; the reason is logged at the server."
            raise UnavailableError(message, retry_after_s=_ASK_AGAIN_AFTER_S)
        raise WorkersBusyError("All query workers are busy; please try again in a few seconds.", retry_after_s=5)

    def _next_free(self, until: float) -> WorkerProcess | None:
        self._waiting += 1
        self._changed.notify_all()
        try:
            while not self._closed and time.monotonic() < until:
                self._changed.wait(timeout=until - time.monotonic())
                if (worker := self._idle_worker()) is not None:
                    return worker
            return None
        finally:
            self._waiting -= 1

    def _idle_worker(self) -> WorkerProcess | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            worker.close()
            self._changed.notify_all()
        return None

    def hurry(self, worker: WorkerProcess, *, overdue_at: float) -> None:
        """Have a borrowed worker killed at this moment (`time.monotonic()`) if it is not given back before."""
        with self._changed:
            lease = self._leases.get(worker.pid)
            if lease is not None:
                lease.overdue_at = min(lease.overdue_at, overdue_at)

    def release(self, worker: WorkerProcess, *, usable: bool) -> None:
        """Give a worker back; one that is not usable is ended and replaced."""
        with self._changed:
            self._leases.pop(worker.pid, None)
            keep = usable and worker.alive and not self._closed
            if keep:
                self._idle.append(worker)
            self._changed.notify_all()
        if not keep:
            worker.close()

    def close(self) -> None:
        """End all workers; queries that still run fail."""
        with self._changed:
            self._closed = True
            workers = [*self._idle, *(lease.worker for lease in self._leases.values())]
            self._idle.clear()
            self._changed.notify_all()
        if self._keeper is not None:
            self._keeper.join()
        for worker in [*workers, *self._starting]:
            worker.close()

    def _keep(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                self._let_go_of_the_dead()
                self._end_overdue()
                self._end_unneeded()
            self._add()
            self._welcome()
            with self._changed:
                self._changed.wait(timeout=_LOOK_EVERY_S if self._starting else _WATCH_EVERY_S)

    def _wanted(self) -> int:
        """How many workers there should be now; after one that did not start, one more shows whether others do."""
        if self.limits.idle_s is None:
            return self.limits.workers
        return min(self.limits.workers, max(len(self._leases) + self._waiting, int(self._failures > 0)))

    def _end_unneeded(self) -> None:
        """End all idle workers when none was in use for a while."""
        if self._leases or self._waiting:
            self._busy_at = time.monotonic()
        if self.limits.idle_s is not None and time.monotonic() - self._busy_at > self.limits.idle_s:
            for worker in self._idle:
                worker.close()
            self._idle.clear()

    def _let_go_of_the_dead(self) -> None:
        dead = [worker for worker in self._idle if not worker.alive]
        self._idle = [worker for worker in self._idle if worker not in dead]
        for worker in dead:
            _LOG.warning("query worker %s ended by itself and is replaced", worker.pid)
            worker.close()

    def _end_overdue(self) -> None:
        """End workers whose query did not stop in time; whoever still reads learns it from the closed socket."""
        for pid, lease in list(self._leases.items()):
            if lease.overdue_at < time.monotonic():
                _LOG.warning("query worker %s is overdue and is ended", pid)
                lease.worker.kill()
                del self._leases[pid]

    def _add(self) -> None:
        """Begin to start the workers that are missing; after one that did not start, not before a while."""
        with self._changed:
            missing = self._wanted() - len(self._idle) - len(self._leases) - len(self._starting)
        if time.monotonic() < self._retry_at:
            return
        try:
            for _ in range(missing if self._failures == 0 else min(missing, 1)):
                self._starting.append(WorkerProcess(self.limits.config))
        except NotStartedError as error:
            self._note_failure(error)

    def _welcome(self) -> None:
        """Take in the workers that have started."""
        for worker in list(self._starting):
            try:
                if not worker.is_ready():
                    continue
            except NotStartedError as error:
                self._note_failure(error)
            else:
                self._failures, self._retry_at = 0, 0.0
                self.release(worker, usable=True)
            self._starting.remove(worker)

    def _note_failure(self, error: NotStartedError) -> None:
        """Log why and wait longer than the last time; of workers that were started together one tells it for all."""
        if time.monotonic() < self._retry_at:
            return
        wait_s = min(_RETRY_AFTER_S * 2.0**self._failures, _MOST_RETRY_AFTER_S)
        self._failures += 1
        self._retry_at = time.monotonic() + wait_s
        _LOG.warning("a worker of %s queries did not start: %s; the next try is in %g s", self._name, error, wait_s)
