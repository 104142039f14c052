"""UWS 1.1 documents (IVOA REC 2016-10-24, section 2 and its schema): jobs, lists of jobs, parameters and results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from pachon.core.errors import UsageError
from pachon.vo.markup import element

MEDIA_TYPE = "text/xml"

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACES = (
    'xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" '
    'xmlns:xlink="http://www.w3.org/1999/xlink" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)
_QUEUE_NAMESPACE = "urn:pachon:queue"
_VERSIONED = f'{_NAMESPACES} version="1.1"'


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultDocument:
    """A result: where it is, and what is known of it."""

    id: str
    address: str
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDocument:
    """A job as clients see it.

    Parameters
    ----------
    address
        Of the job.
    owner
        Name of the person; None for anonymous jobs.
    duration_s
        How long it may execute, seconds.
    parameters
        Names and values, in order.
    error
        One sentence, if it has no result for a reason.
    quote
        When it is expected to end; None if that is not known.
    wait
        Place in line, from 1, and expected time until it executes, seconds; None if it does not wait.
    """

    id: str
    address: str
    run_id: str | None
    owner: str | None
    phase: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_s: int
    destruction: datetime
    parameters: tuple[tuple[str, str], ...]
    results: tuple[ResultDocument, ...] = ()
    error: str | None = None
    quote: datetime | None = None
    wait: tuple[int, float] | None = None


def job(document: JobDocument) -> str:
    """The document of one job (UWS 1.1, section 2.2.2.2). The place in line is among what each service may add."""
    run_id = element("uws:runId", document.run_id) if document.run_id is not None else ""
    return (
        f"{_DECLARATION}<uws:job {_VERSIONED}>\n{element('uws:jobId', document.id)}{run_id}"
        f"{_owner(document)}{element('uws:phase', document.phase)}{_nillable('quote', document.quote)}"
        f"{element('uws:creationTime', moment(document.created_at))}"
        f"{_nillable('startTime', document.started_at)}{_nillable('endTime', document.ended_at)}"
        f"{element('uws:executionDuration', str(document.duration_s))}"
        f"{_nillable('destruction', document.destruction)}"
        f"<uws:parameters>\n{_parameters(document)}</uws:parameters>\n"
        f"<uws:results>\n{_results(document)}</uws:results>\n{_error(document)}{_waiting(document)}</uws:job>\n"
    )


def jobs(documents: Iterable[JobDocument]) -> str:
    """The list of jobs (UWS 1.1, section 2.2.2.1)."""
    return f"{_DECLARATION}<uws:jobs {_VERSIONED}>\n{''.join(_reference(one) for one in documents)}</uws:jobs>\n"


def parameters(document: JobDocument) -> str:
    """The parameters of a job."""
    return f"{_DECLARATION}<uws:parameters {_NAMESPACES}>\n{_parameters(document)}</uws:parameters>\n"


def results(document: JobDocument) -> str:
    """The results of a job."""
    return f"{_DECLARATION}<uws:results {_NAMESPACES}>\n{_results(document)}</uws:results>\n"


def moment(when: datetime) -> str:
    """A moment in the form of DALI 1.1, section 3.1.2, with the `Z` that UWS 1.1 asks for; milliseconds."""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"


def parse_moment(name: str, value: str) -> datetime:
    """A moment that a client gives; without a zone it is UTC.

    Raises
    ------
    UsageError
        If it is none.
    """
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        message = f"{name} must be a moment such as 2026-11-25T18:30:00Z (UTC), not '{value[:40]}'."
        raise UsageError(message, parameter=name) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _reference(document: JobDocument) -> str:
    run_id = element("uws:runId", document.run_id) if document.run_id is not None else ""
    return (
        f'<uws:jobref id="{escape(document.id)}" xlink:href="{escape(document.address)}">\n'
        f"{element('uws:phase', document.phase)}{run_id}{_owner(document)}"
        f"{element('uws:creationTime', moment(document.created_at))}</uws:jobref>\n"
    )


def _owner(document: JobDocument) -> str:
    return element("uws:ownerId", document.owner) if document.owner else '<uws:ownerId xsi:nil="true"/>\n'


def _nillable(name: str, when: datetime | None) -> str:
    return f'<uws:{name} xsi:nil="true"/>\n' if when is None else element(f"uws:{name}", moment(when))


def _parameters(document: JobDocument) -> str:
    return "".join(element("uws:parameter", value, id=name.lower()) for name, value in document.parameters)


def _results(document: JobDocument) -> str:
    return "".join(
        element(
            "uws:result",
            "",
            **{"id": one.id, "xlink:type": "simple", "xlink:href": one.address, "mime-type": one.media_type},
        )
        for one in document.results
    )


def _error(document: JobDocument) -> str:
    if document.error is None:
        return ""
    message = element("uws:message", document.error)
    return f'<uws:errorSummary type="fatal" hasDetail="true">\n{message}</uws:errorSummary>\n'


def _waiting(document: JobDocument) -> str:
    if document.wait is None:
        return ""
    position, seconds = document.wait
    queue = f'<queue xmlns="{_QUEUE_NAMESPACE}" position="{position}" waitSeconds="{seconds:.0f}"/>'
    return f"<uws:jobInfo>{queue}</uws:jobInfo>\n"
