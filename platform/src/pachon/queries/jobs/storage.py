"""The promise of a store of jobs; `sql_storage` keeps it in the state database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pachon.queries.estimate.models import TimeClass
from pachon.queries.jobs.models import Job, JobLimits, JobPhase

JOB_PHASE = "job.phase"
"""Kind of the event that every store publishes with a change of a job's phase, also when the job is deleted.

Its key is the owner's name (empty for anonymous jobs); its payload has `id`, `phase` and `client`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list (UWS 1.1, section 2.2.2.1).

    Parameters
    ----------
    phases
        Only these; all but ARCHIVED ones if empty.
    after
        Only those created after this moment.
    last
        Only the newest so many, and newest first.
    """

    phases: frozenset[JobPhase] = frozenset()
    after: datetime | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InLine:
    """A job that executes, since `started_at`, or waits (None), and how long it is expected to execute."""

    id: str
    owner: str
    started_at: datetime | None
    expected_s: float


class JobStore(Protocol):
    """Where jobs are kept until their destruction; from that moment on they are as good as gone.

    All methods block, are safe to call from threads and processes at once, and may raise `UnavailableError`.
    """

    def add(self, job: Job, *, limit: int) -> None:
        """Keep a new job.

        Raises
        ------
        LimitError
            If its owner keeps `limit` jobs already.
        """
        ...

    def get(self, job_id: str) -> Job:
        """A job, whoever owns it.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        ...

    def list(self, owner: str, wanted: JobFilter, *, limit: int) -> tuple[Job, ...]:
        """At most `limit` jobs of this owner, oldest first unless `wanted.last` is given."""
        ...

    def change(self, job_id: str, edit: Callable[[Job], Job]) -> Job:
        """Replace a job by what `edit` makes of it, and return that; nobody else changes it meanwhile.

        Raises
        ------
        NotFoundError
            If there is none; and whatever `edit` raises, which leaves the job as it was.
        """
        ...

    def delete(self, job_id: str) -> None:
        """Forget a job; no effect if there is none."""
        ...

    def claim(self, holder: str, limits: JobLimits, time_class: TimeClass) -> Job | None:
        """Take the next job of a class to execute, EXECUTING and held by `holder`; None if there is none to start.

        A job whose holder gave no sign in time goes first. Else it is the oldest of the person with the fewest jobs
        executing.
        """
        ...

    def line(self, time_class: TimeClass, *, limit: int) -> tuple[InLine, ...]:
        """The jobs of a class that execute, then those that wait, oldest first; at most `limit` of each."""
        ...

    def held(self, holder: str) -> frozenset[str]:
        """Ids of the jobs that a process holds."""
        ...

    def beat(self, sizes: Mapping[str, int], *, holder: str, lease_s: float) -> None:
        """A sign of life for the jobs a process holds, with the bytes of their results up to now."""
        ...

    def used_bytes(self, owner: str) -> tuple[int, int]:
        """Size of the results of this owner, and of all."""
        ...

    def forget(self) -> tuple[str, ...]:
        """Delete the jobs whose destruction has come; returns their ids."""
        ...

    def known(self, job_ids: Collection[str]) -> frozenset[str]:
        """Which of these jobs there are."""
        ...
