"""What a person in the lab is told when something did not work: one sentence with a status of HTTP."""

from __future__ import annotations


class LabError(Exception):
    """Something did not work.

    Parameters
    ----------
    message
        One sentence: what, where, and what is allowed.
    status
        Status of the answer (RFC 9110, section 15).
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
