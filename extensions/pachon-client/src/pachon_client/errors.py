"""The one tree of errors of this client. Each carries the server's own sentence where the server gave one.

PachonClientError
├── SetupError              no address, or an optional library is missing
├── UnreachableError        nothing answers at the address
├── RequestError            the request is wrong (HTTP 400 and the like)
│   ├── NotFoundError       no such table or release, or none this token may see (404)
│   └── StaleError          others changed it since it was read; nothing was overwritten (412)
├── AuthenticationError     the token is missing or not valid (401)
├── ForbiddenError          the token is valid but may not do this (403)
├── UnavailableError        try again later (429, 502, 503, 504)
└── AnswerError             the answer cannot be read, or ended early
"""

from __future__ import annotations


class PachonClientError(Exception):
    """Anything that went wrong between this client and the platform."""


class SetupError(PachonClientError):
    """The address is not known, or an optional library is missing."""


class UnreachableError(PachonClientError):
    """Nothing answers at the address."""


class RequestError(PachonClientError):
    """The request is wrong: the message says what, where and what is allowed."""


class NotFoundError(RequestError):
    """No such thing, or none that this token may see."""


class StaleError(RequestError):
    """Others changed the thing since it was read; nothing was overwritten."""


class AuthenticationError(PachonClientError):
    """The token is missing, wrong or expired."""


class ForbiddenError(PachonClientError):
    """The token is valid but may not do this."""


class UnavailableError(PachonClientError):
    """A part of the platform is not answering.

    Parameters
    ----------
    message
        One sentence.
    retry_after_s
        When the server suggests to try again; None when it does not say.
    """

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AnswerError(PachonClientError):
    """The answer cannot be read, or it ended before it was complete."""
