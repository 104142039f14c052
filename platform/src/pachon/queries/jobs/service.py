"""What a person may do with jobs: make, change, run, stop and delete them, and fetch their results."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path

from pachon.core import clock
from pachon.core.clock import Clock
from pachon.core.errors import ForbiddenError, LimitError, NotFoundError, PachonError, UsageError
from pachon.core.ids import new_id
from pachon.identity.models import Principal
from pachon.queries.estimate.models import Load, TimeClass
from pachon.queries.jobs.models import UPLOAD, Job, JobLimits, JobPhase, Pairs
from pachon.queries.jobs.spool import Spool, SpooledRows, StagedFiles
from pachon.queries.jobs.storage import InLine, JobFilter, JobStore
from pachon.queries.line import Wait, expected_wait_s, remaining_s
from pachon.queries.plan import UPLOAD_SCHEMA
from pachon.releases.service import ReleaseService
from pachon.rights.models import Access

_MAX_LISTED = 5_000
_MAX_IN_LINE = 1_000


LoadOf = Callable[[Job, int], Load]
"""What the query of a job asks of a worker, for which so many bytes were sent; or the error that running it ends in."""


def _any_load(_job: Job, _sent_bytes: int) -> Load:
    """For services without estimates: every job is short."""
    return Load()


Files = Mapping[str, Path]
"""Files that were sent with a request, by name of the part."""
_NO_FILES: Files = {}


def _nothing_to_wake() -> None:
    """For services without a runner in the same process: others look into the queue every second."""


class JobService:
    """Jobs of one person at a time. Blocking, and safe to use from many threads.

    The job of a person is there for that person alone; the job of an anonymous visitor for whoever knows its id.

    Parameters
    ----------
    store
        Where jobs are kept.
    spool
        Where results are kept.
    releases
        Says whose results may still be read.
    described
        Qualified names of tables that belong to no release: they tell each person what is there for them.
    load_of
        Finds the class of a job when it is queued.
    places
        How many jobs of each class execute at once, for the expected wait.
    wake
        Called when a job was queued.
    """

    def __init__(
        self,
        store: JobStore,
        spool: Spool,
        releases: ReleaseService,
        limits: JobLimits,
        *,
        described: frozenset[str] = frozenset(),
        load_of: LoadOf = _any_load,
        places: Mapping[TimeClass, int] | None = None,
        wake: Callable[[], None] = _nothing_to_wake,
        now: Clock = clock.now,
    ) -> None:
        self._store = store
        self._spool = spool
        self._releases = releases
        self._limits = limits
        self._described = described
        self._load_of = load_of
        self._places = places or {}
        self._wake = wake
        self._now = now
        self._turn = threading.Lock()
        self._on_their_way: Counter[str] = Counter()

    def create(
        self, principal: Principal, parameters: Pairs, *, run: bool, files: Files = _NO_FILES, client: str = ""
    ) -> Job:
        """A new job, which waits for parameters, or for its turn if it is to run.

        Parameters
        ----------
        files
            Moved to the job, which keeps them as long as there is one.
        client
            Program that makes it, by `queries.clients.client_of`.

        Raises
        ------
        LimitError
            If its parameters are too long, its files too large, or there are too many jobs.
        """
        now = self._now()
        job = Job(
            id=new_id(),
            owner=principal.name,
            parameters=self._bounded(parameters),
            phase=JobPhase.PENDING,
            created_at=now,
            destruction=now + timedelta(days=self._limits.default_destruction_days),
            duration_s=self._limits.default_duration_s,
            client=client,
        )
        job = job.queue(principal, now, self._load(job, principal, _size_bytes(files))) if run else job
        with self._staged(job, files) as staged:
            staged.give(job.id)
            try:
                self._store.add(job, limit=self._limits.kept(principal.name))
            except BaseException:
                self._spool.remove(job.id)
                raise
        self._wake()
        return job

    def list(self, principal: Principal, wanted: JobFilter) -> tuple[Job, ...]:
        """The jobs of this person; anonymous visitors are told of none."""
        return () if principal.is_anonymous else self._store.list(principal.name, wanted, limit=_MAX_LISTED)

    def get(self, principal: Principal, job_id: str) -> Job:
        """A job.

        Raises
        ------
        NotFoundError
            If there is none, or it is another person's: both read the same.
        """
        return _owned(self._store.get(job_id), principal)

    def run(self, principal: Principal, job_id: str) -> Job:
        """Queue a job.

        Raises
        ------
        NotFoundError
            As `get`.
        ConflictError
            If it has ended.
        """
        job = self.get(principal, job_id)
        has_uploads = any(name == UPLOAD for name, _ in job.parameters)
        load = self._load(job, principal, self._spool.sent_bytes([job_id]) if has_uploads else 0)
        job = self._change(principal, job_id, lambda job: job.queue(principal, self._now(), load))
        self._wake()
        return job

    def wait(self, job: Job) -> Wait:
        """The place of a queued job in its line, and the expected time until it begins."""
        line = self._store.line(job.time_class, limit=_MAX_IN_LINE)
        now = self._now()
        running = [one for one in line if one.started_at is not None]
        left = [remaining_s(one.expected_s, elapsed_s(one.started_at, now)) for one in running]
        ahead = list(takewhile(lambda one: one.id != job.id, fair_order(line)))
        places = max(self._places.get(job.time_class, 1), 1)
        return Wait(len(ahead) + 1, expected_wait_s(left, (one.expected_s for one in ahead), places=places))

    def expected_end(self, job: Job) -> datetime | None:
        """When a job that waits or executes will be done, as far as is known.

        It is stopped when it has executed for as long as it may, and is not done if it is destroyed before.
        """
        now = self._now()
        if job.phase is JobPhase.QUEUED:
            left_s = self.wait(job).seconds + job.expected_s
        elif job.phase is JobPhase.EXECUTING:
            since_s = elapsed_s(job.started_at, now)
            left_s = max(min(remaining_s(job.expected_s, since_s), job.duration_s - since_s), 0.0)
        else:
            return None
        is_kept = left_s < (job.destruction - now).total_seconds()
        return now + timedelta(seconds=left_s) if is_kept else None

    def abort(self, principal: Principal, job_id: str) -> Job:
        """Stop a job; whichever process executes it sees so within a second."""
        return self._change(principal, job_id, lambda job: job.abort(self._now()))

    def change_parameters(
        self, principal: Principal, job_id: str, parameters: Pairs, *, files: Files = _NO_FILES
    ) -> Job:
        """Give a PENDING job parameters, and files as `create` does: all of them, or none if one cannot be kept.

        Raises
        ------
        ConflictError
            If it is not PENDING.
        LimitError
            If they are too long, or the files too large.
        """
        job = self.get(principal, job_id)
        self._changed(job, parameters)
        with self._staged(job, files) as staged:

            def edit(job: Job) -> Job:
                changed = self._changed(job, parameters)
                staged.give(job.id)
                return changed

            return self._change(principal, job_id, edit)

    def change_duration(self, principal: Principal, job_id: str, duration_s: int) -> Job:
        """Give a PENDING job another time to execute, in seconds; 0, and more than is allowed, means the most allowed.

        Raises
        ------
        ConflictError
            If it is not PENDING.
        UsageError
            If it is negative.
        """
        if duration_s < 0:
            allowed = f"0 (the longest allowed) to {self._limits.max_duration_s} seconds"
            raise UsageError(f"EXECUTIONDURATION must be {allowed}, not {duration_s}.", parameter="EXECUTIONDURATION")
        allowed_s = min(duration_s or self._limits.max_duration_s, self._limits.max_duration_s)
        return self._change(principal, job_id, lambda job: job.change_duration(allowed_s))

    def change_destruction(self, principal: Principal, job_id: str, destruction: datetime) -> Job:
        """Keep a job until another moment; a later one than is allowed means the latest allowed.

        Raises
        ------
        UsageError
            If the moment is past.
        """
        now = self._now()
        latest = now + timedelta(days=self._limits.max_destruction_days)
        if destruction <= now:
            message = (
                f"DESTRUCTION must be a moment to come (at latest {latest:%Y-%m-%dT%H:%M:%SZ}); DELETE removes now."
            )
            raise UsageError(message, parameter="DESTRUCTION")
        return self._change(principal, job_id, lambda job: replace(job, destruction=min(destruction, latest)))

    def delete(self, principal: Principal, job_id: str) -> None:
        """Forget a job and its result; one that is executed is stopped within a second."""
        self.get(principal, job_id)
        self._store.delete(job_id)
        self._spool.remove(job_id)

    def result(self, principal: Principal, job: Job) -> SpooledRows:
        """The rows of a completed job, if this person may read today what they came from.

        Raises
        ------
        NotFoundError
            If it has no result.
        ForbiddenError
            If not; a release that is hidden from them reads as one that is not there.
        """
        if job.phase is not JobPhase.COMPLETED:
            raise NotFoundError(f"Job {job.id} has no result: its phase is {job.phase}.")
        theirs = {name for name in job.tables if not name.startswith(f"{UPLOAD_SCHEMA}.")} - self._described
        lost = self._releases.out_of_reach(principal, theirs, Access.QUERY)
        if lost:
            raise ForbiddenError(f"What this result was made from is not yours to read any more: {', '.join(lost)}.")
        missing = set(job.groups) - principal.groups
        if missing and self._described.intersection(job.tables):
            whose = ", ".join(sorted(missing))
            raise ForbiddenError(f"This result was made for a member of {whose}; run the query again.")
        return self._spool.read(job)

    def _changed(self, job: Job, parameters: Pairs) -> Job:
        changed = job.change_parameters(parameters)
        self._bounded(changed.parameters)
        return changed

    def _change(self, principal: Principal, job_id: str, edit: Callable[[Job], Job]) -> Job:
        return self._store.change(job_id, lambda job: edit(_owned(job, principal)))

    def _load(self, job: Job, principal: Principal, sent_bytes: int) -> Load:
        """The load of a job that is to run; one that cannot be bound is short: it ends with the reason at once."""
        if job.phase is not JobPhase.PENDING:
            return Load()
        try:
            return self._load_of(job.queue(principal, self._now()), sent_bytes)
        except PachonError:
            return Load()

    @contextmanager
    def _staged(self, job: Job, files: Files) -> Iterator[StagedFiles]:
        """Files ready to be given to a job. They fit beside all others of its owner, whose room is theirs."""
        brought = _size_bytes(files)
        with self._turn:
            if files:
                self._check_room(job, files, brought)
            self._on_their_way[job.owner] += brought
        try:
            staged = self._spool.stage(files)
            try:
                yield staged
            finally:
                staged.remove()
        finally:
            with self._turn:
                self._on_their_way[job.owner] -= brought
                self._on_their_way += Counter()

    def _check_room(self, job: Job, files: Files, brought: int) -> None:
        jobs = self._store.list(job.owner, JobFilter(), limit=_MAX_LISTED)
        replaced = _size_bytes(self._spool.sent(job, list(files)))
        kept = self._spool.sent_bytes(each.id for each in jobs) - replaced + self._on_their_way[job.owner]
        if kept + brought > self._limits.max_sent_bytes_per_person:
            whose = "of yours" if job.owner else "of anonymous visitors"
            message = (
                f"These files have {brought:,} bytes, and jobs {whose} keep {kept:,} bytes of others; "
                f"{self._limits.max_sent_bytes_per_person:,} are allowed together: delete jobs, or send less."
            )
            raise LimitError(message, parameter="UPLOAD")

    def _bounded(self, parameters: Pairs) -> Pairs:
        length = sum(len(name) + len(value) for name, value in parameters)
        if length > self._limits.max_parameter_chars:
            message = f"The parameters of a job may have {self._limits.max_parameter_chars} characters, not {length}."
            raise LimitError(message)
        return parameters


def _size_bytes(files: Files) -> int:
    return sum(path.stat().st_size for path in files.values())


def elapsed_s(since: datetime | None, now: datetime) -> float:
    """Seconds since a moment; none if there is no such moment."""
    return 0.0 if since is None else max((now - since).total_seconds(), 0.0)


def fair_order(line: Iterable[InLine]) -> tuple[InLine, ...]:
    """Those who wait, in the order in which they will be claimed: the n-th of one person after the n-th of others."""
    turns: Counter[str] = Counter()
    waiting: list[tuple[int, InLine]] = []
    for one in line:
        if one.started_at is None:
            waiting.append((turns[one.owner], one))
        turns[one.owner] += 1
    return tuple(one for _, one in sorted(waiting, key=lambda each: each[0]))


def _owned(job: Job, principal: Principal) -> Job:
    if job.owner not in {"", principal.name}:
        raise NotFoundError(f"There is no job '{job.id}' of yours; it may have been destroyed.")
    return job
