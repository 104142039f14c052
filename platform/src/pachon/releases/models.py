"""Releases, tables and columns: what exists, in the words of Felis and TAP_SCHEMA."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path

from pachon.core.fields import Field
from pachon.rights.models import Audience

RELEASE_ID = re.compile(r"[a-z][a-z0-9_]*")
"""What the id of a release looks like; it is a schema name in ADQL and the name of a folder."""


class ReleaseKind(StrEnum):
    """Data releases, special programmes and catalogues are immutable; prompt releases live."""

    DATA_RELEASE = "data release"
    SPECIAL_PROGRAMME = "special programme"
    CATALOGUE = "catalogue"
    PROMPT = "prompt"


class Lifecycle(StrEnum):
    """Where a published release stands, from first to last: publishing a data release moves older ones down."""

    CURRENT = "current"
    PREVIOUS = "previous"
    ARCHIVED = "archived"
    """Not queried any more; its files stay downloadable."""


class Tier(StrEnum):
    """Storage that holds a release: fast for current and previous releases, mass for archived ones."""

    FAST = "fast"
    MASS = "mass"


class FileKind(StrEnum):
    """What a file collection holds: all raw data behind a public product are kept and made available."""

    RAW = "raw exposures"
    CALIBRATION = "calibration frames"
    TELEMETRY = "telemetry"
    CONFIGURATION = "configuration"
    OTHER = "other"


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
class ImageCollection:
    """FITS images of one kind, in `images/<id>` of the release's folder.

    Parameters
    ----------
    embargo_hours
        For how long after its exposure an image is for nobody.
    """

    id: str
    title: str
    description: str = ""
    embargo_hours: float = 0.0
    file_count: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCollection:
    """Files for download only, in `files/<id>` of the release's folder."""

    id: str
    kind: FileKind
    title: str
    description: str = ""
    file_count: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """Something that was decided about a release: that it is published, previous, archived, moved or retired."""

    at: datetime
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A dated set of tables, images and files.

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
        Where the data come from and how they may be used.
    provenance
        How they were made: software with versions, inputs, configuration; one statement each.
    groups
        Hub groups for which it is until it is public; empty for those of all data rights holders.
    lifecycle, tier, history
        What the registry decided.
    size_bytes
        Of all its files.
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
    provenance: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    lifecycle: Lifecycle = Lifecycle.CURRENT
    tier: Tier = Tier.FAST
    history: tuple[LifecycleEvent, ...] = ()
    size_bytes: int = 0
    tables: tuple[Table, ...] = ()
    images: tuple[ImageCollection, ...] = ()
    files: tuple[FileCollection, ...] = ()

    @property
    def is_living(self) -> bool:
        """Whether it grows every night."""
        return self.kind is ReleaseKind.PROMPT


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of a release as its manifest lists it.

    Parameters
    ----------
    path
        Relative to the release, with `/`: `tables/object/dataset/Norder=0/Dir=0/Npix=4.parquet`.
    sha256
        Digest of the contents, hexadecimal.
    taken_at
        End of the exposure (UTC), for images of a collection with an embargo.
    """

    path: str
    size_bytes: int
    sha256: str
    taken_at: datetime | None = None

    @property
    def collection(self) -> tuple[str, str]:
        """What it belongs to: (`tables` or `images` or `files`, name); (``""``, ``""``) for the release's own files."""
        kind, _, rest = self.path.partition("/")
        return (kind, rest.partition("/")[0]) if rest else ("", "")

    @property
    def part(self) -> str:
        """The same in one word, `tables/object`; empty for the release's own files."""
        return "/".join(self.collection).strip("/")


@dataclass(frozen=True, slots=True)
class Partition:
    """One file of a HATS catalogue: the rows whose position lies in a HEALPix pixel (nested, ICRS).

    Parameters
    ----------
    valid_from, valid_to
        When a file of a living table was the one to read (UTC, half-open); None for always and still. A change of a
        living table writes the files of the pixels it touches anew and ends the validity of the old ones.
    """

    order: int
    pixel: int
    path: Path
    row_count: int
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def is_valid_at(self, moment: datetime) -> bool:
        """Whether this was the file to read at a moment."""
        has_begun = self.valid_from is None or self.valid_from <= moment
        return has_begun and (self.valid_to is None or moment < self.valid_to)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table as it stands for one query: the files to read. For a living table, those valid at one moment."""

    table: Table
    partitions: tuple[Partition, ...]
