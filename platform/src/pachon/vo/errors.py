"""Errors as answers: one renderer a protocol turns the tree of `core.errors` into its own documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pachon.core.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PachonError,
    QuotaError,
    StaleError,
    UnavailableError,
    UsageError,
)
from pachon.vo import votable

_STATUS = (
    (UsageError, 400),
    (AuthenticationError, 401),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (StaleError, 412),
    (ConflictError, 409),
    (QuotaError, 429),
    (UnavailableError, 503),
)
_OK = 200
_FAULT = 500
_HIDE_MESSAGES = ("stil", "topcat", "java/")


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it leaves over HTTP; `headers` may name a header more than once."""

    status: int
    media_type: str
    body: str
    headers: Sequence[tuple[str, str]] = field(default=())


def fault(request_id: str) -> PachonError:
    """What a person is told of a fault of ours: nothing of its inside, and how to report it."""
    return PachonError(f"The server failed to answer; the fault is logged. Report it with request id {request_id}.")


def status_of(error: PachonError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), _FAULT)


def vo_failure(error: PachonError, *, challenges: Sequence[str]) -> Failure:
    """A VOTable with QUERY_STATUS=ERROR under an HTTP status that says what went wrong (DALI 1.1, section 4.2).

    DALI allows status 200 as well; a real status lets caches, browsers and scripts see the failure, and pyvo and TOPCAT
    show the message of the document either way.
    """
    return _failure(error, votable.error_document(error.message), votable.MEDIA_TYPE, challenges)


def scs_failure(error: PachonError, *, challenges: Sequence[str], user_agent: str) -> Failure:
    """A VOTable with an INFO named Error (Simple Cone Search 1.03, section 2.3).

    The standard has these documents sent with status 200, and the STIL library (TOPCAT, STILTS) shows their message
    only then: with 400 its user reads nothing but the status. pyvo shows the message either way, and scripts, caches
    and browsers need the status. So a wrong request is answered with 400, and with 200 to clients that announce
    themselves as STIL (tailoring to a known limitation is what RFC 9110, section 10.1.5 has User-Agent for). All other
    errors keep their status.
    """
    failure = _failure(error, votable.scs_error_document(error.message), votable.MEDIA_TYPE, challenges)
    status = _OK if isinstance(error, UsageError) and _hides_messages(user_agent) else failure.status
    return replace(failure, status=status, headers=(*failure.headers, ("Vary", "User-Agent")))


def json_failure(error: PachonError, *, challenges: Sequence[str], request_id: str) -> Failure:
    """The JSON of everything that is not a VO protocol."""
    about = {
        "code": type(error).__name__,
        "message": error.message,
        "parameter": getattr(error, "parameter", None),
        "request_id": request_id,
    }
    return _failure(error, json.dumps({"error": about}, ensure_ascii=False), "application/json", challenges)


def _hides_messages(user_agent: str) -> bool:
    return any(name in user_agent.lower() for name in _HIDE_MESSAGES)


def _failure(error: PachonError, body: str, media_type: str, challenges: Sequence[str]) -> Failure:
    return Failure(status_of(error), media_type, body, tuple(_headers(error, challenges)))


def _headers(error: PachonError, challenges: Sequence[str]) -> list[tuple[str, str]]:
    """Challenges with 401, the missing scope with 403 (RFC 6750, section 3.1), a time with 503."""
    if isinstance(error, AuthenticationError):
        return [("WWW-Authenticate", challenge) for challenge in challenges]
    if isinstance(error, ForbiddenError) and error.scope:
        return [("WWW-Authenticate", f'Bearer error="insufficient_scope", scope="{error.scope}"')]
    if isinstance(error, UnavailableError):
        return [("Retry-After", str(error.retry_after_s))]
    return []
