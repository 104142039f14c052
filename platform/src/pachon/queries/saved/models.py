"""Saved queries, their versions, the runs they point at, and with whom they are shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pachon.queries.models import QueryLimits

DRAFT = "DRAFT"
"""State of a query whose newest version was never run; else the phase of the run (UWS 1.1)."""
_OVER = frozenset({"COMPLETED", "ERROR", "ABORTED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedLimits:
    """Limits of saved queries.

    Parameters
    ----------
    kept_per_person
        Queries one person may keep.
    versions_per_query, shares_per_query
        Versions and shares of one query.
    max_result_bytes_per_person
        Size on disk of the results kept with one person's queries.
    max_adql_chars
        The longest ADQL text.
    """

    kept_per_person: int = 10_000
    versions_per_query: int = 1_000
    shares_per_query: int = 100
    max_result_bytes_per_person: int = 2 * 1024**3
    max_adql_chars: int = QueryLimits().max_query_chars


@dataclass(frozen=True, slots=True)
class Upload:
    """A table sent along with a query, by reference (TAP 1.1, section 2.5): its name in the query, and where it is."""

    name: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What people write of a query: every change makes a version with all of it.

    Parameters
    ----------
    notes
        Of the query, as long as a page.
    form
        State of the form that the text came from; None for text typed by hand.
    max_rows
        MAXREC; None for the default.
    view
        View state, see `view_state`; None for none.
    """

    name: str
    adql: str
    notes: str = ""
    tags: tuple[str, ...] = ()
    form: Mapping[str, Any] | None = None
    max_rows: int | None = None
    uploads: tuple[Upload, ...] = ()
    view: Mapping[str, Any] | None = None

    def asks_like(self, other: Content) -> bool:
        """Whether both have the same rows as result, so that a run of one is a run of the other."""
        return (self.adql, self.max_rows, self.uploads) == (other.adql, other.max_rows, other.uploads)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRun:
    """One run of a version.

    Parameters
    ----------
    asked_by, groups
        Who ran it, and their groups then.
    job_id, execution_id
        The job, and once it has ended the execution; a synchronous run has no job.
    tables
        Qualified names of the tables that were read: who sees figures or rows needs access to them.
    result_bytes
        Size on disk of the rows that are kept; None if they are not.
    error
        Why there are no rows, or why they are not kept; one sentence.
    former_id
        The run before it whose rows are kept, and shown if this one ends without rows.
    """

    id: str
    query_id: str
    version: int
    asked_by: str
    groups: tuple[str, ...]
    phase: str
    asked_at: datetime
    client: str = ""
    job_id: str | None = None
    execution_id: str | None = None
    tables: tuple[str, ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None
    row_count: int = 0
    overflow: bool = False
    result_bytes: int | None = None
    error: str | None = None
    former_id: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen any more."""
        return self.phase in _OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One state of a query, never changed; only the run that belongs to it may be made later.

    Parameters
    ----------
    number
        From 1; the newest is current.
    based_on
        Number of the version that its author had before them; less than `number` - 1 if others were quicker.
    note
        What its author says of the change.
    run
        Its last run.
    former
        The run that `run.former_id` names.
    """

    number: int
    content: Content
    author: str
    created_at: datetime
    based_on: int = 0
    note: str = ""
    run: QueryRun | None = None
    former: QueryRun | None = None

    @property
    def shown(self) -> QueryRun | None:
        """The run whose rows are shown: the last, unless that ended without rows and those of the former are kept."""
        run, former = self.run, self.former
        falls_back = run is not None and run.is_over and run.result_bytes is None
        return former if falls_back and former is not None and former.result_bytes is not None else run


class Audience(StrEnum):
    """With whom a query is shared."""

    PERSON = "person"
    GROUP = "group"
    LINK = "link"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Lets somebody see a query.

    Parameters
    ----------
    who
        Name of a person or group; of a link the SHA-256 of its token, hexadecimal; empty for the public.
    may_edit
        Whether they may also change and run it; persons and groups only.
    expires_at
        From when on it counts no more; None for never.
    """

    id: str
    audience: Audience
    who: str = ""
    may_edit: bool = False
    expires_at: datetime | None = None
    created_at: datetime

    def counts(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQuery:
    """A query: who made it, its newest version, and with whom it is shared.

    Parameters
    ----------
    parent_id, parent_version
        What it was forked from.
    releases
        Releases that the newest text names.
    """

    id: str
    owner: str
    created_at: datetime
    changed_at: datetime
    newest: Version
    releases: tuple[str, ...] = ()
    parent_id: str | None = None
    parent_version: int | None = None
    shares: tuple[Share, ...] = ()

    @property
    def state(self) -> str:
        """Phase of the newest version's run, or `DRAFT`."""
        return self.newest.run.phase if self.newest.run else DRAFT


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A query as a list tells it, with the beginning of its text.

    `place` grows with every change: pages go by it, newest change first.
    """

    id: str
    owner: str
    name: str
    adql: str
    tags: tuple[str, ...]
    releases: tuple[str, ...]
    state: str
    version: int
    row_count: int | None
    created_at: datetime
    changed_at: datetime
    place: int


class Whose(StrEnum):
    """Which queries to list."""

    MINE = "mine"
    SHARED = "shared"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which queries to list; every condition that is given must hold.

    Parameters
    ----------
    text
        Words that the name, the notes, the tags or the ADQL hold; the last may be the start of a word.
    name
        The whole name.
    since, until
        Between which moments it was changed last.
    before
        Only those with a smaller `place`.
    """

    whose: Whose = Whose.ALL
    text: str = ""
    name: str | None = None
    release: str | None = None
    tag: str | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
