"""Time: aware UTC datetimes everywhere, and a clock that tests can hold still."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(tz=UTC)
