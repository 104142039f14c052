"""Executes queued jobs in threads of this process, taking turns with its siblings on the same database."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from pachon.core import clock
from pachon.core.clock import Clock
from pachon.core.errors import LimitError, NotFoundError, PachonError, UnavailableError
from pachon.core.ids import new_id
from pachon.queries.engines.engine import OutgrownError, WorkersBusyError
from pachon.queries.estimate.models import TimeClass
from pachon.queries.jobs.models import Job, JobLimits, JobPhase, JobResult
from pachon.queries.jobs.spool import Spool
from pachon.queries.jobs.storage import JobStore
from pachon.queries.models import Answer
from pachon.queries.uploads.answer import UploadAnswer

_LOG = logging.getLogger(__name__)
_LOOK_EVERY_S = 1.0
_WATCH_EVERY_S = 0.5
_TIDY_EVERY_S = 60.0
_MAX_ATTEMPTS = 3
_JOIN_S = 5.0
_KNOWN_AT_ONCE = 1_000
_MEBIBYTE = 1024**2

FilesOfJob = Callable[[Job, Sequence[str]], Mapping[str, Path]]
"""Of some parts of a request, those whose files were sent for a job, and where they are."""
Ask = Callable[[Job, FilesOfJob], Answer | UploadAnswer]
"""Starts the query of a job, as its owner, with its files."""
Occupy = Callable[[Job], Callable[[], None]]
"""Takes a turn for a job; what it returns gives the turn back."""
_Ending = Callable[[Job], Job]


class _StoppedError(Exception):
    """The job is not ours any more, or this process ends."""


def _occupy_nothing(_job: Job) -> Callable[[], None]:
    """For processes in which nobody else asks for workers."""
    return lambda: None


@dataclass(slots=True)
class _Running:
    """A job in the hands of this process.

    Parameters
    ----------
    room_bytes
        How large its result may become, as last measured.
    full
        What to say when it becomes larger.
    """

    job: Job
    room_bytes: int = 0
    full: str = ""
    size_bytes: int = 0
    row_count: int = 0
    is_stopped: bool = False
    answer: Answer | UploadAnswer | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def stop(self) -> None:
        """End it from another thread, also while its first rows are waited for."""
        with self._turn:
            self.is_stopped = True
            answer = self.answer
        if answer is not None:
            answer.close()

    def read(self, answer: Answer | UploadAnswer) -> None:
        """Take note of the answer that is read from now on; it is closed at once if it was stopped before."""
        with self._turn:
            self.answer = answer
            is_late = self.is_stopped
        if is_late:
            answer.close()

    def grow(self, size_bytes: int) -> None:
        """Told by the spool after each batch."""
        self.size_bytes = size_bytes
        if size_bytes > self.room_bytes:
            raise LimitError(self.full)
        if self.is_stopped:
            raise _StoppedError

    def counted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same batches, with their rows counted."""
        for batch in batches:
            self.row_count += batch.num_rows
            yield batch


class JobRunner:
    """Claims jobs one by one, asks their queries, and spools the answers.

    Parameters
    ----------
    store, spool
        Where jobs and results are kept.
    ask
        Starts a query.
    limits
        Limits of jobs.
    places
        How many jobs of each class execute at once in this process.
    occupy
        Takes the turn of a job that begins to need a query worker of this process.
    """

    def __init__(
        self,
        store: JobStore,
        spool: Spool,
        ask: Ask,
        limits: JobLimits,
        *,
        places: Mapping[TimeClass, int],
        occupy: Occupy = _occupy_nothing,
        now: Clock = clock.now,
    ) -> None:
        self._store = store
        self._spool = spool
        self._ask = ask
        self._limits = limits
        self._places = places
        self._occupy = occupy
        self._now = now
        self._holder = new_id()
        self._running: dict[str, _Running] = {}
        self._turn = threading.Condition()
        self._calls = 0
        self._closed = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to look for jobs."""
        threads = [
            threading.Thread(target=self._work, args=(time_class,), name=f"{time_class}-job-{number}", daemon=True)
            for time_class, count in self._places.items()
            for number in range(count)
        ]
        self._threads = [*threads, threading.Thread(target=self._watch, name="job-watch", daemon=True)]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look into the queue now: there is a new job."""
        with self._turn:
            self._calls += 1
            self._turn.notify_all()

    def close(self) -> None:
        """Stop; jobs that were executing go back to their place in the queue."""
        with self._turn:
            self._closed = True
            running = list(self._running.values())
            self._turn.notify_all()
        for one in running:
            one.stop()
        for thread in self._threads:
            thread.join(timeout=_JOIN_S)

    def tidy(self) -> None:
        """Delete jobs past their destruction with their results, and old files that no job knows."""
        for job_id in self._store.forget():
            self._spool.remove(job_id)
        strays = sorted(self._spool.strays())
        for start in range(0, len(strays), _KNOWN_AT_ONCE):
            some = frozenset(strays[start : start + _KNOWN_AT_ONCE])
            for job_id in some - self._store.known(some):
                self._spool.remove(job_id)

    def _work(self, time_class: TimeClass) -> None:
        """One thread: claim and execute jobs of a class, again and again."""
        while not self._closed:
            calls = self._calls
            try:
                job = self._store.claim(self._holder, self._limits, time_class)
                if job is not None and self._hold(job):
                    continue
            except PachonError as error:
                _LOG.warning("no job could be taken: %s", error)
            except Exception:  # noqa: BLE001 -- the edge of a thread that must go on; logged
                _LOG.exception("a job could not be executed; its lease ends")
            self._rest(calls)

    def _rest(self, calls: int) -> None:
        """Wait for a call, or a second."""
        with self._turn:
            self._turn.wait_for(lambda: self._closed or self._calls != calls, timeout=_LOOK_EVERY_S)

    def _hold(self, job: Job) -> bool:
        """Execute a job and store how it ended; returns whether it ended (else it waits again)."""
        running = _Running(job)
        self._measure(running)
        with self._turn:
            self._running[job.id] = running
            running.is_stopped = self._closed
        leave = self._occupy(job)
        try:
            ended = self._store_ending(job, self._execute(running))
        finally:
            leave()
            with self._turn:
                del self._running[job.id]
        if ended is None or ended.phase is not JobPhase.COMPLETED or ended.attempts != job.attempts:
            self._spool.remove_attempt(job)
        return ended is None or ended.phase.is_over

    def _store_ending(self, job: Job, ending: _Ending) -> Job | None:
        """Replace the job, if it still is in our hands; None if it was deleted."""

        def edit(present: Job) -> Job:
            is_ours = present.is_held_by(self._holder) and present.attempts == job.attempts
            return ending(present) if is_ours else present

        try:
            return self._store.change(job.id, edit)
        except NotFoundError:
            return None

    def _execute(self, running: _Running) -> _Ending:
        """Execute a job; returns how it ends."""
        job = running.job
        if job.attempts > _MAX_ATTEMPTS:
            return _failing(f"The process that executed this job ended {_MAX_ATTEMPTS} times; ask for less.", self._now)
        began_s = time.monotonic()
        try:
            result = self._answer(running)
        except _StoppedError:
            return Job.wait_again
        except PachonError as error:
            is_late = isinstance(error, LimitError) and time.monotonic() - began_s >= job.duration_s
            return _aborting(error.message, self._now) if is_late else self._after(error, running)
        except Exception:  # noqa: BLE001 -- a fault of ours ends this job, not the runner; logged
            _LOG.exception("job %s failed", job.id)
            return _failing(f"The server failed; the fault is logged. Report it with job id {job.id}.", self._now)
        return lambda present: present.complete(result, self._now())

    def _after(self, error: PachonError, running: _Running) -> _Ending:
        """How a job ends whose query failed: what may go better the next time is tried again."""
        if isinstance(error, OutgrownError):
            return partial(Job.wait_for_larger, load=error.load)
        if isinstance(error, WorkersBusyError):
            return lambda present: replace(present.wait_again(), attempts=present.attempts - 1)
        may_go_better = isinstance(error, UnavailableError) and running.job.attempts < _MAX_ATTEMPTS
        return Job.wait_again if running.is_stopped or may_go_better else _failing(error.message, self._now)

    def _answer(self, running: _Running) -> JobResult:
        answer = self._ask(running.job, self._spool.sent)
        try:
            running.read(answer)
            rows = running.counted(answer.batches)
            size_bytes = self._spool.write(
                running.job, answer.fields, rows, warnings=answer.warnings, on_growth=running.grow
            )
        finally:
            answer.close()
        if running.is_stopped:
            raise _StoppedError
        return JobResult(
            execution_id=answer.execution_id,
            tables=answer.tables,
            row_count=running.row_count,
            size_bytes=size_bytes,
            overflow=answer.overflow,
        )

    def _watch(self) -> None:
        """One thread: stop what is not ours any more, give signs of life, tidy."""
        beat_at = tidy_at = 0.0
        while not self._closed:
            moment = time.monotonic()
            try:
                self._stop_lost()
                if moment >= beat_at:
                    self._beat()
                    beat_at = moment + self._limits.lease_s / 3
                if moment >= tidy_at:
                    self.tidy()
                    tidy_at = moment + _TIDY_EVERY_S
            except PachonError as error:
                _LOG.warning("jobs could not be watched: %s", error)
            except Exception:  # noqa: BLE001 -- the edge of a thread that must go on; logged
                _LOG.exception("jobs could not be watched")
            with self._turn:
                self._turn.wait_for(lambda: self._closed, timeout=_WATCH_EVERY_S)

    def _stop_lost(self) -> None:
        """Stop jobs that were aborted, deleted, destroyed or taken over."""
        running = self._in_hand()
        held = self._store.held(self._holder) if running else frozenset()
        for job_id, one in running.items():
            if job_id not in held:
                one.stop()

    def _beat(self) -> None:
        running = self._in_hand()
        sizes = {job_id: one.size_bytes for job_id, one in running.items()}
        if sizes:
            self._store.beat(sizes, holder=self._holder, lease_s=self._limits.lease_s)
        for job_id, one in running.items():
            self._measure(one, reported_bytes=sizes[job_id])

    def _in_hand(self) -> dict[str, _Running]:
        with self._turn:
            return dict(self._running)

    def _measure(self, running: _Running, *, reported_bytes: int = 0) -> None:
        """How large the result may become, beside all others that are kept."""
        own_bytes, all_bytes = self._store.used_bytes(running.job.owner)
        limits = self._limits
        own = limits.max_result_bytes_per_person - (own_bytes - reported_bytes)
        everybodys = limits.max_result_bytes_total - (all_bytes - reported_bytes)
        running.room_bytes = min(own, everybodys)
        running.full = _full(own <= everybodys, limits)


def _full(is_own: bool, limits: JobLimits) -> str:  # noqa: FBT001 -- private, one caller
    allowed = limits.max_result_bytes_per_person if is_own else limits.max_result_bytes_total
    whose = "your results together" if is_own else "the results of all people together"
    return (
        f"The result does not fit into the {allowed // _MEBIBYTE} MiB that {whose} may take on disk; "
        "delete jobs that are not needed any more, or ask for fewer rows or columns."
    )


def _failing(reason: str, now: Clock) -> _Ending:
    return lambda present: present.fail(reason, now())


def _aborting(reason: str, now: Clock) -> _Ending:
    return lambda present: present.abort(now(), reason)
