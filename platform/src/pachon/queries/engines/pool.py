"""A pool of prewarmed workers: each query borrows one; dead or overdue ones are replaced at once."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from pachon.queries.engines.engine import WorkersBusyError
from pachon.queries.engines.frames import ClosedError
from pachon.queries.engines.worker import WorkerConfig, WorkerProcess

_LOG = logging.getLogger(__name__)
_WATCH_EVERY_S = 0.25
_RETRY_AFTER_S = 1.0


@dataclass(slots=True)
class _Lease:
    worker: WorkerProcess
    overdue_at: float


class WorkerPool:
    """Keeps `size` workers running.

    Parameters
    ----------
    config
        What each worker may use.
    size
        How many queries run at once.
    queue_timeout_s
        How long a query may wait for a free worker.
    """

    def __init__(self, config: WorkerConfig, *, size: int, queue_timeout_s: float) -> None:
        self._config = config
        self._size = size
        self._queue_timeout_s = queue_timeout_s
        self._changed = threading.Condition()
        self._idle: list[WorkerProcess] = []
        self._leases: dict[int, _Lease] = {}
        self._keeper: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to start the workers; returns at once."""
        with self._changed:
            if self._keeper is None and not self._closed:
                self._keeper = threading.Thread(target=self._keep, name="query-workers", daemon=True)
                self._keeper.start()

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers that run."""
        with self._changed:
            workers = [*self._idle, *(lease.worker for lease in self._leases.values())]
            return tuple(worker.pid for worker in workers if worker.alive)

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
        """
        self.start()
        until = time.monotonic() + self._queue_timeout_s
        with self._changed:
            while not self._closed:
                while self._idle:
                    worker = self._idle.pop()
                    if worker.alive:
                        self._leases[worker.pid] = _Lease(worker, overdue_at)
                        return worker
                    worker.close()
                    self._changed.notify_all()
                if not self._changed.wait(timeout=until - time.monotonic()) and time.monotonic() >= until:
                    break
        raise WorkersBusyError("All query workers are busy; please try again in a few seconds.", retry_after_s=5)

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
        for worker in workers:
            worker.close()

    def _keep(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                self._let_go_of_the_dead()
                self._end_overdue()
                missing = self._size - len(self._idle) - len(self._leases)
            if missing > 0:
                self._add(missing)
                continue
            with self._changed:
                self._changed.wait(timeout=_WATCH_EVERY_S)

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

    def _add(self, count: int) -> None:
        starting = [WorkerProcess(self._config) for _ in range(count)]
        for worker in starting:
            try:
                worker.wait_ready()
            except (ClosedError, TimeoutError):
                _LOG.exception("a query worker did not start")
                worker.close()
                time.sleep(_RETRY_AFTER_S)
                continue
            self.release(worker, usable=True)
