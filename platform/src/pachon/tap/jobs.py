"""TAP queries as jobs: what the parameters of UWS requests mean, and how jobs are told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pachon.core.errors import NotFoundError, PachonError, UsageError
from pachon.queries.jobs.models import JobPhase, Pairs
from pachon.queries.jobs.storage import JobFilter
from pachon.tap.models import TapRequest
from pachon.tap.waiting import phase_named
from pachon.vo.dali import Parameters
from pachon.vo.uws import JobDocument, ResultDocument, parse_moment

if TYPE_CHECKING:
    from pachon.identity.models import Principal
    from pachon.queries.jobs.models import Job
    from pachon.queries.jobs.service import JobService
    from pachon.queries.models import QueryLimits
    from pachon.queries.uploads.models import UploadLimits
    from pachon.tap.uploads import Received, Uploads

_KEPT = ("REQUEST", "LANG", "QUERY", "MAXREC", "RESPONSEFORMAT", "FORMAT", "RUNID", "UPLOAD")
"""Parameters that a job keeps; all others are ignored (DALI 1.1, section 3)."""


class TapJobs:
    """Jobs behind the addresses of `/tap/async`.

    Parameters
    ----------
    jobs
        Jobs of all kinds.
    limits
        Limits of one query.
    uploads
        Receives the files of requests.
    list_address
        Public address of the job list; jobs are below it.
    """

    def __init__(self, jobs: JobService, limits: QueryLimits, *, uploads: Uploads, list_address: str) -> None:
        self.jobs = jobs
        self.uploads = uploads
        self._limits = limits
        self.list_address = list_address

    def address(self, job: Job) -> str:
        """Public address of a job."""
        return f"{self.list_address}/{job.id}"

    def list(self, principal: Principal, given: Parameters) -> tuple[JobDocument, ...]:
        """The jobs of this person by PHASE, AFTER and LAST.

        Raises
        ------
        UsageError
            If one of these is wrong.
        """
        after = given.text("AFTER")
        last = given.integer("LAST", allowed="a whole number of jobs, 1 or more")
        if last is not None and last < 1:
            raise UsageError(f"LAST must be a whole number of jobs, 1 or more, not {last}.", parameter="LAST")
        wanted = JobFilter(
            phases=frozenset(phase_named(phase) for phase in given.all("PHASE")),
            after=None if after is None else parse_moment("AFTER", after),
            last=last,
        )
        return tuple(self.document(job) for job in self.jobs.list(principal, wanted))

    def create(self, principal: Principal, received: Received, *, client: str = "") -> Job:
        """A new job with these parameters; PHASE=RUN queues it at once (UWS 1.1, section 2.2.3.1).

        Parameters
        ----------
        client
            The program that asks.

        Raises
        ------
        UsageError
            If PHASE is something else, or a limit does not allow it.
        """
        given = received.parameters
        phase = given.text("PHASE")
        if phase is not None and phase.upper() != "RUN":
            raise UsageError(f"PHASE of a new job must be RUN or left out, not '{phase[:40]}'.", parameter="PHASE")
        return self.jobs.create(
            principal, _kept(given), run=phase is not None, files=received.brought.parts, client=client
        )

    def change_phase(self, principal: Principal, job_id: str, given: Parameters) -> Job:
        """Run or abort a job by PHASE.

        Raises
        ------
        UsageError
            If PHASE is neither.
        """
        act = self.jobs.run if _command(given) == "RUN" else self.jobs.abort
        return act(principal, job_id)

    def change_parameters(self, principal: Principal, job_id: str, received: Received) -> Job:
        """Give a PENDING job parameters, and files."""
        pairs = _kept(received.parameters)
        return self.jobs.change_parameters(principal, job_id, pairs, files=received.brought.parts)

    def change_duration(self, principal: Principal, job_id: str, given: Parameters) -> Job:
        """Set the longest time to execute by EXECUTIONDURATION.

        Raises
        ------
        UsageError
            If it is missing or no number of seconds.
        """
        value = given.integer("EXECUTIONDURATION", allowed="a whole number of seconds")
        if value is None:
            raise UsageError("EXECUTIONDURATION is missing: seconds, 0 for the longest allowed.")
        return self.jobs.change_duration(principal, job_id, value)

    def change_destruction(self, principal: Principal, job_id: str, given: Parameters) -> Job:
        """Set the end of a job by DESTRUCTION.

        Raises
        ------
        UsageError
            If it is missing or no moment to come.
        """
        value = given.text("DESTRUCTION")
        if value is None:
            raise UsageError("DESTRUCTION is missing: a moment such as 2026-11-25T18:30:00Z.", parameter="DESTRUCTION")
        return self.jobs.change_destruction(principal, job_id, parse_moment("DESTRUCTION", value))

    def act(self, principal: Principal, job_id: str, given: Parameters) -> None:
        """Delete a job by ACTION=DELETE, for clients that cannot send DELETE.

        Raises
        ------
        UsageError
            If ACTION is something else.
        """
        action = given.text("ACTION") or ""
        if action.upper() != "DELETE":
            raise UsageError(f"ACTION must be DELETE, not '{action[:40]}'.", parameter="ACTION")
        self.jobs.delete(principal, job_id)

    def document(self, job: Job) -> JobDocument:
        """A job as its document tells it."""
        return JobDocument(
            id=job.id,
            address=self.address(job),
            run_id=next((value for name, value in job.parameters if name == "RUNID"), None),
            owner=job.owner or None,
            phase=job.phase.value,
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
            duration_s=job.duration_s,
            destruction=job.destruction,
            parameters=job.parameters,
            results=self._results(job),
            error=_why(job),
        )

    def whole_document(self, job: Job) -> JobDocument:
        """The same with the place in line and the expected end, which take a look at the whole queue."""
        document = replace(self.document(job), quote=self.jobs.expected_end(job))
        if job.phase is not JobPhase.QUEUED:
            return document
        wait = self.jobs.wait(job)
        return replace(document, wait=(wait.position, wait.seconds))

    def request(self, job: Job) -> TapRequest:
        """What a job asks.

        Raises
        ------
        UsageError
            If its parameters are wrong.
        """
        return request_of(job, self._limits, self.uploads.limits)

    def _results(self, job: Job) -> tuple[ResultDocument, ...]:
        if job.phase is not JobPhase.COMPLETED:
            return ()
        address = f"{self.address(job)}/results/result"
        return (ResultDocument(id="result", address=address, media_type=self.request(job).form.media_type),)


def request_of(job: Job, limits: QueryLimits, uploads: UploadLimits) -> TapRequest:
    """What a job asks.

    Raises
    ------
    UsageError
        If its parameters are wrong.
    """
    return TapRequest.from_parameters(Parameters.from_pairs(job.parameters), limits, uploads)


def failure(job: Job) -> PachonError:
    """Why a job has no result, as an error whose document is told.

    Raises
    ------
    NotFoundError
        If it did not fail.
    """
    why = _why(job)
    if why is None:
        raise NotFoundError(f"Job {job.id} has no error: its phase is {job.phase}.")
    return PachonError(why)


def _why(job: Job) -> str | None:
    """Why a job has no result; None if it has one, or may get one."""
    if job.error is None and job.phase is JobPhase.ABORTED:
        return f"Job {job.id} was aborted by its owner."
    return job.error


def _kept(given: Parameters) -> Pairs:
    return tuple((name, value) for name in _KEPT for value in given.all(name))


def _command(given: Parameters) -> str:
    command = (given.text("PHASE") or "").upper()
    if command not in {"RUN", "ABORT"}:
        raise UsageError(f"PHASE must be RUN or ABORT, not '{command[:40]}'.", parameter="PHASE")
    return command
