"""Runs of saved queries: asks for them as jobs, takes over runs of others, and keeps what they found."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from pachon.core import clock
from pachon.core.clock import Clock
from pachon.core.errors import ConflictError, NotFoundError, PachonError, UsageError
from pachon.core.ids import new_id
from pachon.identity.models import Principal
from pachon.queries.jobs.models import Job, JobPhase, Pairs
from pachon.queries.jobs.service import JobService
from pachon.queries.jobs.spool import Spool
from pachon.queries.jobs.storage import JobFilter, JobStore
from pachon.queries.line import Wait
from pachon.queries.models import Execution
from pachon.queries.saved.kept_results import KeptResults
from pachon.queries.saved.models import Content, QueryRun, SavedLimits, SavedQuery, Upload
from pachon.queries.saved.storage import QueryRunStore, SavedQueryStore
from pachon.queries.storage import ExecutionStore

_LOG = logging.getLogger(__name__)
_MEBIBYTE = 1024**2
_KNOWN_AT_ONCE = 1_000
_MAX_RUNNING = 50

Check = Callable[[Principal, str, int | None], object]
"""Binds ADQL with a row limit for a person, and raises what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs as three see them: their owner, the database, and the disk."""

    service: JobService
    store: JobStore
    spool: Spool


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A job that has not ended, the id of the query that it is a run of, and its wait while it is in line."""

    job: Job
    query_id: str | None
    wait: Wait | None


class RunService:
    """Runs versions of saved queries. Blocking, and safe to use from many threads.

    Parameters
    ----------
    store, runs, results
        Where queries, their runs and their rows are kept.
    jobs, executions
        What runs, and what ran.
    check
        Tells what is wrong with a query before it becomes a job.
    """

    def __init__(
        self,
        store: SavedQueryStore,
        runs: QueryRunStore,
        results: KeptResults,
        jobs: Jobs,
        *,
        executions: ExecutionStore,
        limits: SavedLimits,
        check: Check,
        now: Clock = clock.now,
    ) -> None:
        self._store = store
        self._runs = runs
        self._results = results
        self._jobs = jobs
        self._executions = executions
        self._limits = limits
        self._check = check
        self._now = now

    def run(self, principal: Principal, query: SavedQuery, *, client: str) -> QueryRun:
        """Run the newest version as a job of this person; the former rows are shown until there are new ones.

        Raises
        ------
        QuerySyntaxError, LimitError
            If the query is wrong, with the place.
        ConflictError
            If it is running.
        """
        version = query.newest
        self.check(principal, version.content)
        if version.run is not None and not self.settled(version.run).is_over:
            raise ConflictError(f"Version {version.number} of this query is running already.")
        job = self._jobs.service.create(principal, _parameters(query.id, version.content), run=False, client=client)
        run = QueryRun(
            id=new_id(),
            query_id=query.id,
            version=version.number,
            asked_by=principal.name,
            groups=tuple(sorted(principal.groups)),
            phase=JobPhase.QUEUED.value,
            asked_at=self._now(),
            client=client,
            job_id=job.id,
        )
        try:
            self._runs.add(run)
        except PachonError:
            self._jobs.service.delete(principal, job.id)
            raise
        self._jobs.service.run(principal, job.id)
        return run

    def check(self, principal: Principal, content: Content) -> None:
        """Say what is wrong with a query before it becomes a job; one with uploads is checked when it runs.

        Raises
        ------
        QuerySyntaxError, LimitError
            With the place.
        ConflictError
            If a table of it came as a file, which went with its job.
        """
        sent = [upload.name for upload in content.uploads if upload.uri.lower().startswith("param:")]
        if sent:
            message = (
                f"Table {sent[0]} was sent as a file with its job and is not kept; give uploads an address for it."
            )
            raise ConflictError(message)
        if not content.uploads:
            self._check(principal, content.adql, content.max_rows)

    def of_job(self, principal: Principal, job_id: str) -> tuple[Content, QueryRun, str | None]:
        """What a job of this person asks, its run, and the query that was made from it before, if one was.

        Raises
        ------
        NotFoundError
            If there is no such job of theirs.
        """
        job = self._jobs.service.get(principal, job_id)
        if job.owner != principal.name:
            raise NotFoundError(f"There is no job '{job_id[:80]}' of yours; it may have been destroyed.")
        run = QueryRun(
            id=new_id(),
            query_id="",
            version=1,
            asked_by=principal.name,
            groups=job.groups,
            phase=JobPhase.QUEUED.value,
            asked_at=job.created_at,
            client=job.client,
            job_id=job.id,
            execution_id=job.execution_id,
        )
        known = self._runs.of_execution(principal.name, job_id=job.id, execution_id=None)
        return _asked(job.parameters), run, known

    def of_execution(self, principal: Principal, execution_id: str) -> tuple[Content, QueryRun, str | None]:
        """As `of_job`, for a run of any kind that this person made; rows are kept if its job still has them.

        Raises
        ------
        NotFoundError
            If there is no such execution of theirs.
        """
        execution = self._executions.get(principal.name, execution_id)
        jobs = self._jobs.service.list(principal, JobFilter(phases=frozenset({JobPhase.COMPLETED})))
        job = next((job for job in jobs if job.execution_id == execution_id), None)
        if job is not None:
            return self.of_job(principal, job.id)
        known = self._runs.of_execution(principal.name, job_id=None, execution_id=execution_id)
        content = Content(name="", adql=execution.query)
        return content, _ran(execution, principal), known

    def running(self, principal: Principal) -> tuple[UnderWay, ...]:
        """Jobs of this person that wait or execute, newest first."""
        phases = frozenset({JobPhase.QUEUED, JobPhase.EXECUTING})
        jobs = self._jobs.service.list(principal, JobFilter(phases=phases, last=_MAX_RUNNING))
        return tuple(UnderWay(job, self._query_of(job), self._wait(job)) for job in jobs)

    def wait(self, run: QueryRun) -> Wait | None:
        """The place in line of a run that waits, and how long it will probably wait; None for others."""
        if run.phase != JobPhase.QUEUED or run.job_id is None:
            return None
        try:
            return self._wait(self._jobs.store.get(run.job_id))
        except NotFoundError:
            return None

    def settled(self, run: QueryRun) -> QueryRun:
        """A run as it is now: what its job became is taken note of."""
        if run.is_over or run.job_id is None:
            return run
        try:
            job = self._jobs.store.get(run.job_id)
        except NotFoundError:
            gone = "Its job was deleted before it had ended."
            return self._runs.change(run.id, lambda old: _ended(old, error=gone))
        if job.phase.is_over:
            return self._end(run, job)
        if job.phase is JobPhase.PENDING or (run.phase, run.started_at) == (job.phase, job.started_at):
            return run
        return self._runs.change(run.id, lambda old: _moved(old, job))

    def job_changed(self, job_id: str) -> None:
        """Take note of what became of a job, for all runs that it is for."""
        for run in self._runs.of_job(job_id):
            self.settled(run)

    def drop(self, run: QueryRun) -> None:
        """Keep the rows of a run no longer, nor those shown while it has none; its figures stay."""
        self._runs.change(run.id, lambda old: replace(_without_rows(old), former_id=None))
        self._results.remove(run.id)
        self._drop_former(run)

    def tidy(self) -> None:
        """Delete old files that no run knows."""
        old = sorted(self._results.old())
        for start in range(0, len(old), _KNOWN_AT_ONCE):
            some = frozenset(old[start : start + _KNOWN_AT_ONCE])
            for run_id in some - self._runs.known(some):
                self._results.remove(run_id)

    def used_bytes(self, owner: str) -> int:
        """Size on disk of what is kept with the queries of this owner."""
        return self._runs.used_bytes(owner)

    def _query_of(self, job: Job) -> str | None:
        return next((run.query_id for run in self._runs.of_job(job.id)), None)

    def _wait(self, job: Job) -> Wait | None:
        return self._jobs.service.wait(job) if job.phase is JobPhase.QUEUED else None

    def _end(self, run: QueryRun, job: Job) -> QueryRun:
        figures = replace(
            run,
            phase=job.phase.value if job.phase is not JobPhase.ARCHIVED else JobPhase.ABORTED.value,
            groups=job.groups,
            execution_id=job.execution_id,
            tables=job.tables,
            started_at=job.started_at,
            ended_at=job.ended_at or self._now(),
            row_count=job.row_count,
            overflow=job.overflow,
            error=job.error,
        )
        if job.phase is JobPhase.COMPLETED:
            figures = self._kept(figures, job)
        ended = self._runs.change(run.id, lambda old: old if old.is_over else figures)
        if ended.result_bytes is not None:
            self._drop_former(run)
        return ended

    def _drop_former(self, run: QueryRun) -> None:
        """Keep the rows no longer that a run replaced, unless a version still shows them."""
        if run.former_id is not None and not self._runs.has_version(run.former_id):
            self._runs.change(run.former_id, _without_rows)
            self._results.remove(run.former_id)

    def _kept(self, run: QueryRun, job: Job) -> QueryRun:
        owner = self._store.get(run.query_id).owner
        most = self._limits.max_result_bytes_per_person
        if self._runs.used_bytes(owner) - self._freed_bytes(run) + job.size_bytes > most:
            full = (
                f"Its rows are not kept: with them, what is kept for {owner} would be more than the "
                f"{most // _MEBIBYTE} MiB allowed; delete results or queries, then run it again."
            )
            return replace(run, error=full)
        try:
            size_bytes = self._results.keep(run.id, self._jobs.spool.path(job))
        except PachonError as error:
            return replace(run, error=error.message)
        return replace(run, result_bytes=size_bytes, former_id=None)

    def _freed_bytes(self, run: QueryRun) -> int:
        """Size of the former rows, if they go when those of this run are kept."""
        if run.former_id is None or self._runs.has_version(run.former_id, besides=run.id):
            return 0
        return self._runs.get(run.former_id).result_bytes or 0


def _moved(run: QueryRun, job: Job) -> QueryRun:
    return run if run.is_over else replace(run, phase=job.phase.value, started_at=job.started_at)


def _without_rows(run: QueryRun) -> QueryRun:
    return run if run.result_bytes is None else replace(run, result_bytes=None, error="Its rows are not kept.")


def _ended(run: QueryRun, *, error: str) -> QueryRun:
    return run if run.is_over else replace(run, phase=JobPhase.ABORTED.value, error=error)


def _ran(execution: Execution, principal: Principal) -> QueryRun:
    return QueryRun(
        id=new_id(),
        query_id="",
        version=1,
        asked_by=principal.name,
        groups=tuple(sorted(principal.groups)),
        phase=execution.phase.value,
        asked_at=execution.started_at,
        client=execution.client,
        execution_id=execution.id,
        tables=execution.tables,
        started_at=execution.started_at,
        ended_at=execution.ended_at,
        row_count=execution.row_count,
        overflow=execution.overflow,
        error=execution.error or "Its rows went to the program that asked and are not kept; run it to have them here.",
    )


def _parameters(query_id: str, content: Content) -> Pairs:
    """What a job asks; RUNID is the query's id, so that every client sees what the job is for."""
    pairs = [("REQUEST", "doQuery"), ("LANG", "ADQL"), ("QUERY", content.adql), ("RUNID", query_id)]
    if content.max_rows is not None:
        pairs.append(("MAXREC", str(content.max_rows)))
    if content.uploads:
        pairs.append(("UPLOAD", ";".join(f"{upload.name},{upload.uri}" for upload in content.uploads)))
    return tuple(pairs)


def _asked(parameters: Pairs) -> Content:
    given = dict(reversed(parameters))
    if "QUERY" not in given:
        raise UsageError("This job has no query yet: give it QUERY first.")
    uploads = (pair.partition(",") for pair in given.get("UPLOAD", "").split(";") if pair)
    max_rows = given.get("MAXREC", "")
    return Content(
        name="",
        adql=given["QUERY"],
        max_rows=int(max_rows) if max_rows.isdecimal() else None,
        uploads=tuple(Upload(name.strip(), uri.strip()) for name, _, uri in uploads),
    )
