"""What the platform holds, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
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

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says; keys of a newer API are left aside."""
        return cls(**{**_known(cls, document), "tables": tuple(document.get("tables", ()))})


def _known(model: type, document: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of `document` that `model` has a field for."""
    return {field.name: document[field.name] for field in fields(model) if field.name in document}
