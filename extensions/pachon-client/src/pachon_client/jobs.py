"""Queries as jobs (UWS 1.1): they wait in line, may take long, and can be aborted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from pachon_client.errors import NotFoundError, RequestError
from pachon_client.reading import read_result
from pachon_client.result import Result
from pachon_client.transport import Transport
from pachon_client.waiting import Changes, Progress, wait

_JOBS = "tap/async"


class Job:
    """A job of this person; `phase` is as it was when it was read last.

    Parameters
    ----------
    job_id
        Its identifier.
    """

    def __init__(self, transport: Transport, job_id: str) -> None:
        self.id = job_id
        self.phase = "QUEUED"
        self._transport = transport

    def refresh(self) -> Self:
        """Read its phase again."""
        self.phase = self._transport.get(f"{_JOBS}/{self.id}/phase").text.strip()
        return self

    def wait(self, timeout_s: float | None = None, *, on_change: Callable[[Job], None] | None = None) -> Self:
        """Wait until it has ended; an interrupt (Ctrl-C) stops it.

        Parameters
        ----------
        timeout_s
            How long to wait; None for as long as it takes.
        on_change
            Called with each new phase; by default the phase, the place in line and the expected end are shown.

        Raises
        ------
        UnavailableError
            It still runs after that time, or the platform has not answered for a minute.
        """
        tell = Progress(self._transport, self.id) if on_change is None else Changes(self, on_change)
        what = f"Job {self.id}"
        wait(self.phase, lambda: self.refresh().phase, tell=tell, stop=self.abort, what=what, timeout_s=timeout_s)
        return self

    def result(self) -> Result:
        """Rows; waits for the end.

        Raises
        ------
        RequestError
            The query failed; the message is the server's.
        NotFoundError
            It was aborted.
        """
        self.wait()
        if self.phase == "ERROR":
            raise RequestError(self._transport.sentence(f"{_JOBS}/{self.id}/error"))
        if self.phase != "COMPLETED":
            raise NotFoundError(f"Job {self.id} has no rows: it is {self.phase}.")
        with self._transport.stream("GET", f"{_JOBS}/{self.id}/results/result") as response:
            return read_result(response)

    def abort(self) -> Self:
        """Stop it on the server."""
        abort_job(self._transport, self.id)
        return self.refresh()

    def __repr__(self) -> str:
        return f"<Job {self.id}, {self.phase}>"


def start_job(transport: Transport, form: dict[str, str]) -> Job:
    """Create a job of TAP from its parameters, and run it."""
    address = transport.post_form(_JOBS, {**form, "PHASE": "RUN"})
    return Job(transport, address.rpartition("/")[2])


def abort_job(transport: Transport, job_id: str) -> None:
    """Abort a job; one that has ended stays as it is."""
    transport.post_form(f"{_JOBS}/{job_id}/phase", {"PHASE": "ABORT"})
