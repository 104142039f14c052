"""How many streams of events a person keeps open."""

from __future__ import annotations

from collections import Counter

from pachon.core.errors import UnavailableError

_RETRY_AFTER_S = 60


class Listeners:
    """Counts open streams by person. For one event loop.

    Parameters
    ----------
    most
        Streams one person may have open.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def arrive(self, name: str) -> None:
        """Take note of a further stream; `leave` must follow.

        Raises
        ------
        UnavailableError
            If this person has as many as one may.
        """
        if self._open[name] >= self._most:
            message = f"You have {self._most} streams of events open, as many as one person may: close one of them."
            raise UnavailableError(message, retry_after_s=_RETRY_AFTER_S)
        self._open[name] += 1

    def leave(self, name: str) -> None:
        """Take note of a stream that is closed."""
        self._open[name] -= 1
        if not self._open[name]:
            del self._open[name]
