"""Jobs, their phases and their limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pachon.core.errors import ConflictError
from pachon.identity.models import Principal
from pachon.queries.estimate.models import Load, TimeClass

_NO_LOAD = Load()


class JobPhase(StrEnum):
    """Where a job is (UWS 1.1, section 2.1.3). Nothing here puts a job into the last four; other services do."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"
    HELD = "HELD"
    SUSPENDED = "SUSPENDED"
    UNKNOWN = "UNKNOWN"
    ARCHIVED = "ARCHIVED"

    @property
    def is_waited_for(self) -> bool:
        """Whether a long poll waits in this phase (UWS 1.1, section 2.2.1.1: PENDING, QUEUED, EXECUTING)."""
        return self in {JobPhase.PENDING, JobPhase.QUEUED, JobPhase.EXECUTING}

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen any more."""
        return self in {JobPhase.COMPLETED, JobPhase.ERROR, JobPhase.ABORTED, JobPhase.ARCHIVED}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """Limits of jobs.

    Parameters
    ----------
    running_total, running_per_person
        How many jobs of each class execute at once in all, and of one person; the others wait in the queue. All
        anonymous visitors together count as one person.
    default_duration_s, max_duration_s
        How long a job may execute if its owner sets nothing, and at most.
    default_destruction_days, max_destruction_days
        How long a job and its result are kept if its owner sets nothing, and at most.
    max_result_bytes_total, max_result_bytes_per_person
        Size on disk of all results kept, and of those of one person.
    max_sent_bytes_per_person
        Size on disk of the files that one person, or all anonymous visitors together, sent for jobs that are kept.
    kept_per_person, kept_anonymous
        How many jobs one person, and all anonymous visitors together, may keep.
    max_parameter_chars
        Length of the parameters of one job, names and values.
    lease_s
        How long a process that executes a job is believed to be alive after its last sign.
    """

    running_total: int = 8
    running_per_person: int = 2
    default_duration_s: int = 3_600
    max_duration_s: int = 14_400
    default_destruction_days: float = 7
    max_destruction_days: float = 30
    max_result_bytes_total: int = 50 * 1024**3
    max_result_bytes_per_person: int = 5 * 1024**3
    max_sent_bytes_per_person: int = 10 * 1024**3
    kept_per_person: int = 500
    kept_anonymous: int = 2_000
    max_parameter_chars: int = 110_000
    lease_s: float = 15.0

    def kept(self, owner: str) -> int:
        """How many jobs this owner may keep."""
        return self.kept_per_person if owner else self.kept_anonymous


UPLOAD = "UPLOAD"
"""The parameter that accumulates (DALI 1.1, section 3.4.5)."""

Pairs = tuple[tuple[str, str], ...]
"""Names and values of parameters, in order; a name may be repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What an execution left behind.

    Parameters
    ----------
    tables
        Qualified names of the tables that were read: who fetches the result needs access to them.
    row_count
        Rows of the result.
    size_bytes
        Size on disk.
    overflow
        Whether there were more rows than the limit.
    """

    execution_id: str
    tables: tuple[str, ...]
    row_count: int
    size_bytes: int
    overflow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request and its state. Changes make a new one; the store keeps the newest.

    Parameters
    ----------
    id
        Unguessable: whoever knows the id of an anonymous job may have it.
    owner
        Name of the person; empty for anonymous visitors.
    groups, scopes
        Of the owner when they asked to run it: with these it is executed.
    parameters
        Request parameters; names in upper case.
    queued_at
        When it was asked to run; its place in the queue.
    duration_s
        How long it may execute.
    holder, lease_until
        The process that executes it, and until when that is believed.
    attempts
        How many processes began to execute it.
    time_class, expected_s
        The class of workers it waits for, and how long it is expected to execute: no longer than it may.
    error
        One sentence; what became of it, if it has no result.
    client
        Program that made it, see `queries.clients.client_of`; empty if it did not say.
    """

    id: str
    owner: str
    parameters: Pairs
    phase: JobPhase
    created_at: datetime
    destruction: datetime
    duration_s: int
    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    holder: str = ""
    lease_until: datetime | None = None
    attempts: int = 0
    time_class: TimeClass = TimeClass.SHORT
    expected_s: float = 0.0
    execution_id: str | None = None
    tables: tuple[str, ...] = ()
    row_count: int = 0
    size_bytes: int = 0
    overflow: bool = False
    error: str | None = None
    client: str = ""

    @property
    def principal(self) -> Principal:
        """As whom it is executed."""
        return Principal(self.owner, frozenset(self.groups), frozenset(self.scopes))

    def is_held_by(self, holder: str) -> bool:
        """Whether this process is the one that executes it."""
        return self.phase is JobPhase.EXECUTING and self.holder == holder

    def queue(self, principal: Principal, now: datetime, load: Load = _NO_LOAD) -> Job:
        """Asked to run; asked twice is asked once.

        Parameters
        ----------
        load
            What its query asks of a worker.

        Raises
        ------
        ConflictError
            If it has ended.
        """
        if self.phase is not JobPhase.PENDING:
            if self.phase.is_over:
                raise ConflictError(f"Job {self.id} has ended ({self.phase}); only a PENDING job can be run.")
            return self
        return replace(
            _asked_by(self, principal),
            phase=JobPhase.QUEUED,
            queued_at=now,
            time_class=load.time_class,
            expected_s=min(load.seconds, self.duration_s),
        )

    def wait_again(self) -> Job:
        """Back to its place in the queue: the process that held it could not go on."""
        return replace(self, phase=JobPhase.QUEUED, started_at=None, holder="", lease_until=None, size_bytes=0)

    def wait_for_larger(self, load: Load | None = None) -> Job:
        """Back to its place in the queue, for the workers of this load, else of the next larger class; no attempt."""
        found = load or Load(self.time_class.larger, self.expected_s)
        return replace(
            self.wait_again(),
            attempts=self.attempts - 1,
            time_class=found.time_class,
            expected_s=min(found.seconds, self.duration_s),
        )

    def complete(self, result: JobResult, now: datetime) -> Job:
        """Ended with a result."""
        return replace(
            self._end(JobPhase.COMPLETED, now),
            execution_id=result.execution_id,
            tables=result.tables,
            row_count=result.row_count,
            size_bytes=result.size_bytes,
            overflow=result.overflow,
        )

    def fail(self, reason: str, now: datetime) -> Job:
        """Ended without a result."""
        return replace(self._end(JobPhase.ERROR, now), error=reason)

    def abort(self, now: datetime, reason: str | None = None) -> Job:
        """Stopped by its owner, or for a reason; no effect once it has ended."""
        return self if self.phase.is_over else replace(self._end(JobPhase.ABORTED, now), error=reason)

    def change_parameters(self, pairs: Pairs) -> Job:
        """Given parameters, each replacing those of its name; of uploads, those of the same table.

        Raises
        ------
        ConflictError
            If it was asked to run already.
        """
        self._require_pending("its parameters")
        given = {name if name != UPLOAD else _upload(value) for name, value in pairs}
        kept = (pair for pair in self.parameters if (pair[0] if pair[0] != UPLOAD else _upload(pair[1])) not in given)
        return replace(self, parameters=(*kept, *pairs))

    def change_duration(self, duration_s: int) -> Job:
        """Given another time to execute.

        Raises
        ------
        ConflictError
            If it was asked to run already.
        """
        self._require_pending("its execution duration")
        return replace(self, duration_s=duration_s)

    def _require_pending(self, what: str) -> None:
        if self.phase is not JobPhase.PENDING:
            raise ConflictError(f"Job {self.id} is {self.phase}; {what} can be changed while it is PENDING.")

    def _end(self, phase: JobPhase, now: datetime) -> Job:
        return replace(self, phase=phase, ended_at=now, holder="", lease_until=None, size_bytes=0)


def _upload(value: str) -> str:
    return f"{UPLOAD} {value.partition(',')[0].strip().lower()}"


def _asked_by(job: Job, principal: Principal) -> Job:
    """An anonymous job stays anonymous, whoever runs it."""
    if principal.name != job.owner:
        return job
    return replace(job, groups=tuple(sorted(principal.groups)), scopes=tuple(sorted(principal.scopes)))
