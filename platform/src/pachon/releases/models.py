"""Releases, tables and columns: what exists, in the words of Felis and TAP_SCHEMA."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from pachon.core.fields import Field
from pachon.rights.models import Audience


class ReleaseKind(StrEnum):
    """Data releases, special programmes and catalogues are immutable; prompt releases live."""

    DATA_RELEASE = "data release"
    SPECIAL_PROGRAMME = "special programme"
    CATALOGUE = "catalogue"
    PROMPT = "prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table: its field and what TAP_SCHEMA says of it (TAP 1.1, section 4.3)."""

    field: Field
    principal: bool = False
    indexed: bool = False
    std: bool = False

    @property
    def name(self) -> str:
        """Name as published."""
        return self.field.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """A foreign key to another table; `target_table` is a qualified name, columns are matched in order."""

    id: str
    target_table: str
    from_columns: tuple[str, ...]
    target_columns: tuple[str, ...]
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A catalogue table.

    Parameters
    ----------
    schema
        TAP schema name; equals the id of the release.
    id_column, ra_column, dec_column
        The columns of the main identifier and principal position (UCDs `meta.id;meta.main`, `pos.eq.ra;meta.main`,
        `pos.eq.dec;meta.main`), ICRS degrees; None for a table without positions.
    row_count
        Number of rows as stored.
    """

    schema: str
    name: str
    description: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    id_column: str | None = None
    ra_column: str | None = None
    dec_column: str | None = None
    row_count: int = 0

    @property
    def qualified_name(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def has_position(self) -> bool:
        """Whether rows can be found by position."""
        return self.ra_column is not None and self.dec_column is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A dated set of tables (later also images and files).

    Parameters
    ----------
    id
        Also the TAP schema name: `[a-z][a-z0-9_]*`.
    title, description
        For people.
    date
        Release date (UTC), from which the proprietary period counts.
    audience
        For whom it is on that day.
    simulated
        True for simulated data, which say SIMULATED wherever they are shown.
    source, doi, licence, credit
        Provenance of real data.
    """

    id: str
    title: str
    description: str
    kind: ReleaseKind
    date: date
    audience: Audience
    simulated: bool
    source: str
    licence: str
    credit: str = ""
    doi: str | None = None
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Partition:
    """One file of a HATS catalogue: the rows whose position lies in a HEALPix pixel (nested, ICRS)."""

    order: int
    pixel: int
    path: Path
    row_count: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table as it stands for one query: the files to read. Living tables add deltas to this."""

    table: Table
    partitions: tuple[Partition, ...]
