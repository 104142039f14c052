"""What the platform holds, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table or of a result; `unit` in VOUnits syntax."""

    name: str
    datatype: str = ""
    unit: str | None = None
    ucd: str | None = None
    description: str | None = None
    principal: bool = False
    indexed: bool = False

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        return cls(**_known(cls, document))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """How rows of one table refer to another; columns are matched in order."""

    target_table: str
    from_columns: tuple[str, ...]
    target_columns: tuple[str, ...]
    description: str | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        pairs = {side: tuple(document[side]) for side in ("from_columns", "target_columns")}
        return cls(**{**_known(cls, document), **pairs})


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table; `name` is qualified (`release.table`), positions are ICRS degrees."""

    name: str
    description: str | None = None
    row_count: int | None = None
    has_position: bool = False
    id_column: str | None = None
    ra_column: str | None = None
    dec_column: str | None = None
    columns: tuple[Column, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        columns = tuple(Column.from_json(column) for column in document.get("columns", ()))
        keys = tuple(ForeignKey.from_json(key) for key in document.get("foreign_keys", ()))
        return cls(**{**_known(cls, document), "columns": columns, "foreign_keys": keys})


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of ADQL: `form` shows how it is called, as in `ivo_hasword(haystack VARCHAR, needle VARCHAR)`."""

    form: str
    description: str = ""

    @property
    def name(self) -> str:
        """What stands before the parenthesis."""
        return self.form.partition("(")[0].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Images or files of one kind; `kind` is empty for images, `embargo_hours` zero for files."""

    id: str
    title: str = ""
    description: str = ""
    kind: str = ""
    embargo_hours: float = 0.0
    file_count: int = 0
    size_bytes: int = 0

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        return cls(**_known(cls, document))


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleEvent:
    """Something that was decided about a release; `at` is ISO 8601, UTC."""

    at: str
    event: str

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        return cls(**_known(cls, document))


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One dated set of tables and files with its origin, and what this token may do with it.

    Parameters
    ----------
    lifecycle
        `current`, `previous` or `archived`: an archived release is not queried, only downloaded.
    tier
        Storage that holds it: `fast` or `mass`.
    public_from
        First day on which everybody may read it (ISO 8601, UTC); None for never.
    provenance, history
        How it was made, and what was decided about it; told of one release, not in lists.
    """

    id: str
    title: str = ""
    description: str = ""
    kind: str = ""
    date: str | None = None
    lifecycle: str = ""
    tier: str = ""
    audience: str = ""
    size_bytes: int = 0
    public_from: str | None = None
    may_query: bool = False
    may_download: bool = False
    simulated: bool = False
    source: str | None = None
    doi: str | None = None
    licence: str | None = None
    credit: str | None = None
    provenance: tuple[str, ...] = ()
    history: tuple[LifecycleEvent, ...] = ()
    tables: tuple[Table, ...] = ()
    images: tuple[Collection, ...] = ()
    files: tuple[Collection, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        parts: dict[str, Any] = {
            "provenance": tuple(document.get("provenance", ())),
            "history": tuple(LifecycleEvent.from_json(event) for event in document.get("history", ())),
            "tables": tuple(Table.from_json(table) for table in document.get("tables", ())),
            "images": tuple(Collection.from_json(collection) for collection in document.get("images", ())),
            "files": tuple(Collection.from_json(collection) for collection in document.get("files", ())),
        }
        return cls(**{**_known(cls, document), **parts})


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a release.

    Parameters
    ----------
    path
        Relative to the release, with `/`.
    sha256
        Digest of the contents, hexadecimal.
    collection
        What it belongs to, such as `tables/stars`; None for the release's own files.
    """

    path: str
    size_bytes: int
    sha256: str
    tier: str = ""
    collection: str | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        return cls(**_known(cls, document))


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One run of a query that the platform remembers; times are ISO 8601, UTC."""

    id: str
    query: str = ""
    protocol: str = ""
    phase: str = ""
    tables: tuple[str, ...] = ()
    started_at: str | None = None
    ended_at: str | None = None
    destruction: str | None = None
    row_count: int = 0
    size_bytes: int = 0
    overflow: bool = False
    error: str | None = None
    client: str = ""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        return cls(**{**_known(cls, document), "tables": tuple(document.get("tables", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySummary:
    """A saved query as a list tells it; times are ISO 8601, UTC. `row_count` is told of one's own only."""

    id: str
    owner: str = ""
    name: str = ""
    adql: str = ""
    tags: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    state: str = ""
    version: int = 0
    row_count: int | None = None
    created_at: str | None = None
    changed_at: str | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        lists = {name: tuple(document.get(name, ())) for name in ("tags", "releases")}
        return cls(**{**_known(cls, document), **lists})


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A job that waits or executes, of any program; `query` is the saved query that it runs, if it runs one.

    `in_line` has `position` (1 for the next) and `seconds` (expected wait) while it waits.
    """

    job: str
    phase: str = ""
    client: str = ""
    adql: str = ""
    created_at: str | None = None
    started_at: str | None = None
    query: str | None = None
    in_line: Mapping[str, float] | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        return cls(**_known(cls, document))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that happened: `query.changed`, `job.phase`, `execution.ended`, or `connected`."""

    kind: str
    id: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryVersion:
    """One version of a saved query; `based_on` is the version that its author had before them."""

    number: int
    name: str = ""
    adql: str = ""
    notes: str = ""
    note: str = ""
    author: str = ""
    created_at: str | None = None
    based_on: int = 0
    citation: str = ""
    view: Mapping[str, Any] | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        return cls(**_known(cls, document))


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """With whom a query is shared; `token` and `address` of a link are told when it is made, and never again."""

    id: str
    audience: str = ""
    who: str | None = None
    may_edit: bool = False
    expires_at: str | None = None
    token: str | None = None
    address: str | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        return cls(**_known(cls, document))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs between two results.

    Parameters
    ----------
    row_counts
        Rows of the `old` and the `new` one.
    key
        Column by which rows were matched; None if they were not, for the `reason`.
    sample
        At most twenty changed rows: the key, and for each changed column the old and the new value.
    """

    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    columns_changed: tuple[Mapping[str, str], ...] = ()
    row_counts: Mapping[str, int] = field(default_factory=dict)
    key: str | None = None
    rows_added: int | None = None
    rows_removed: int | None = None
    rows_changed: int | None = None
    sample: tuple[Mapping[str, Any], ...] = ()
    reason: str = ""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        known = _known(cls, document)
        lists: dict[str, Any] = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**{**known, **lists})


def _known(model: type, document: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of `document` that `model` has a field for."""
    return {each.name: document[each.name] for each in fields(model) if each.name in document}
