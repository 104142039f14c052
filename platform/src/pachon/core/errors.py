"""The one tree of errors. A `PachonError` is written for the person who reads it; anything else is a fault of ours.

    PachonError
    ├── UsageError                 the request is wrong: what, where, what is allowed
    │   ├── QuerySyntaxError       wrong ADQL, with line and column
    │   └── LimitError             over a stated limit
    ├── NotFoundError              no such table, job, release (or none this person may see)
    ├── AuthenticationError        the credentials are not valid
    ├── ForbiddenError             known, but not allowed: says what is missing
    ├── ConflictError              not possible in the present state
    │   └── StaleError             somebody else changed it since: nothing was overwritten
    ├── QuotaError                 a limit of what runs at once is reached: which, by how much, what frees it
    ├── UnavailableError           try again later: says when
    └── SetupError                 the machine or the settings do not allow it (commands exit with code 2)

The tree knows no web framework: each protocol has one renderer that turns these into its own documents.
"""

from __future__ import annotations

from dataclasses import dataclass


class PachonError(Exception):
    """An expected error whose message may be shown to the person who caused it.

    Parameters
    ----------
    message
        One clear sentence: what went wrong, where, and what is allowed.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class UsageError(PachonError):
    """The request is wrong.

    Parameters
    ----------
    message
        What is wrong and what is allowed.
    parameter
        Name of the offending request parameter, if it is one parameter's fault.
    """

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text; `line` and `column` count from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class QuerySyntaxError(UsageError):
    """The ADQL text is wrong at a known place."""

    def __init__(self, message: str, *, position: Position | None = None) -> None:
        super().__init__(f"{position}: {message}" if position else message, parameter="QUERY")
        self.position = position


class LimitError(UsageError):
    """The request is well formed but over a stated limit."""


class NotFoundError(PachonError):
    """No such thing, or none that this person may see: both read the same."""


class AuthenticationError(PachonError):
    """Credentials were given and are not valid."""


class ForbiddenError(PachonError):
    """The person is known but may not do this.

    Parameters
    ----------
    message
        What is refused, what is missing, and what is open instead.
    scope
        The missing scope, where a scope is what is missing.
    """

    def __init__(self, message: str, *, scope: str | None = None) -> None:
        super().__init__(message)
        self.scope = scope


class ConflictError(PachonError):
    """The request is right but not possible in the present state."""


class StaleError(ConflictError):
    """Somebody else changed the thing since it was read; nothing was overwritten."""


class QuotaError(PachonError):
    """What was asked would go over a limit of what runs at once; it is possible when something else has ended."""


class UnavailableError(PachonError):
    """A part of the platform is not answering; the same request may succeed later."""

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SetupError(PachonError):
    """The machine or the settings do not allow what was asked; commands exit with code 2."""
