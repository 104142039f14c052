"""Words of the rights policy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Protocol


class Access(StrEnum):
    """Kinds of access (DESIGN decision 4): the first four are to a release, the others to a part of the platform."""

    METADATA = "metadata"
    QUERY = "query"
    IMAGE = "image"
    FILE = "file"
    SPAWN = "spawn"
    PORTAL = "portal"
    FILTER = "filter"
    ALERT_STREAM = "alert-stream"
    ALERT_ARCHIVE = "alert-archive"

    @property
    def is_to_a_release(self) -> bool:
        """Whether it is decided release by release."""
        return self in {Access.METADATA, Access.QUERY, Access.IMAGE, Access.FILE}


class Audience(StrEnum):
    """For whom a release is meant on the day it appears."""

    WORLD = "world"
    HOLDERS = "holders"


class Holding(Protocol):
    """What the policy needs to know of a release."""

    @property
    def id(self) -> str:
        """Identifier, for the reason of a refusal."""
        ...

    @property
    def audience(self) -> Audience:
        """For whom it is on its date."""
        ...

    @property
    def date(self) -> date:
        """Release date (UTC)."""
        ...

    @property
    def groups(self) -> frozenset[str]:
        """Hub groups for which it is until it is public; empty for those of all data rights holders."""
        ...

    @property
    def is_living(self) -> bool:
        """Whether it grows every night, so that its age says nothing of its contents."""
        ...


@dataclass(frozen=True, slots=True)
class Embargo:
    """Hours after an exposure during which its images are for nobody (Rubin: 80 h for prompt images).

    Parameters
    ----------
    hours
        How long, from the exposure's end.
    taken_at
        When the exposure ended (UTC).
    """

    hours: float
    taken_at: datetime

    @property
    def ends_at(self) -> datetime:
        """When its images are free (UTC): one that leaves the calendar ends on its last day, as good as never."""
        try:
            return self.taken_at + timedelta(hours=self.hours)
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer of the policy. A refusal says why, and what is open instead.

    Parameters
    ----------
    by_override
        True if an administrator was let in where this person's own rights do not suffice: such uses are logged.
    """

    allowed: bool
    reason: str = ""
    by_override: bool = False


ALLOWED = Decision(allowed=True)
