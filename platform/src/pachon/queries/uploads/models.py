"""Words of uploads: what is uploaded, what is allowed, and the table that comes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pachon.core.errors import LimitError, UsageError
from pachon.core.fields import Field
from pachon.queries.adql.words import RESERVED
from pachon.queries.plan import UPLOAD_SCHEMA
from pachon.releases.hats.layout import PLAIN_ORDER
from pachon.releases.models import Column, Partition, Snapshot, Table

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_JOINED = re.compile(r";(?=\s*[A-Za-z][A-Za-z0-9_]*\s*,)")
_NAME_CHARS = 64
_SHOWN_CHARS = 80
PORTS = {"http": 80, "https": 443}
_INLINE, _WEB = "param:", ("http://", "https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """Limits of uploads.

    Parameters
    ----------
    max_tables
        Tables of one query.
    max_bytes
        Size of one table, as sent and unpacked.
    max_rows, max_columns
        Of one table.
    hosts
        `host` or `host:port` of the http(s) addresses that may be uploaded. A name must stand for a public address; a
        private address is reached only where it is listed itself.
    timeout_s
        How long the tables of one query may take to be fetched and converted.
    memory_bytes
        What the process that converts them may hold.
    reserve_bytes
        Disk that is left free.
    """

    max_tables: int = 10
    max_bytes: int = 2 * 1024**3
    max_rows: int = 20_000_000
    max_columns: int = 2_000
    hosts: frozenset[str] = frozenset()
    timeout_s: float = 300.0
    memory_bytes: int = 2 * 1024**3
    reserve_bytes: int = 5 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingLimits:
    """Limits of receiving requests with files, which take disk and a connection while they come.

    Parameters
    ----------
    at_once
        Requests that are received at once in one process.
    per_person, anonymous
        Of these, those of one person (or one address), and those of all anonymous visitors together.
    waiting, waiting_per_person
        How many may wait for their turn, and how many of one person.
    wait_s
        How long one may wait for its turn.
    timeout_s
        How long one may take to come.
    stall_s
        How long nothing may come of it.
    """

    at_once: int = 8
    per_person: int = 2
    anonymous: int = 4
    waiting: int = 100
    waiting_per_person: int = 10
    wait_s: float = 20.0
    timeout_s: float = 1_800.0
    stall_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload of a request: the name of the table, and where it is (TAP 1.1, section 2.7.6)."""

    name: str
    uri: str

    @property
    def part(self) -> str | None:
        """Name of the part of the request that holds it; None if it is fetched from elsewhere."""
        return self.uri[len(_INLINE) :] if self.uri.lower().startswith(_INLINE) else None


def uploads_of(values: Iterable[str], limits: UploadLimits) -> tuple[Upload, ...]:
    """The uploads that the values of UPLOAD name; each is `name,URI`, and several are joined by `;` in old clients.

    Raises
    ------
    UsageError
        If one is not understood, or two have the same name.
    LimitError
        If there are too many.
    """
    found: dict[str, Upload] = {}
    for value in (each for text in values for each in _JOINED.split(text) if each.strip()):
        upload = _upload(value.strip(), limits.hosts)
        if upload.name.lower() in found:
            raise _wrong(f"UPLOAD names the table '{upload.name}' twice; names have no case, and each is given once.")
        found[upload.name.lower()] = upload
    if len(found) > limits.max_tables:
        message = f"UPLOAD brings {len(found)} tables; at most {limits.max_tables} are allowed for one query."
        raise LimitError(message, parameter="UPLOAD")
    return tuple(found.values())


def _upload(value: str, hosts: frozenset[str]) -> Upload:
    name, comma, uri = (part.strip() for part in value.partition(","))
    if not comma or not uri:
        raise _wrong(f"UPLOAD must be name,URI such as mine,param:file, not '{value[:_SHOWN_CHARS]}'.")
    if not _NAME.fullmatch(name) or len(name) > _NAME_CHARS:
        allowed = f"a letter, then letters, digits and underscores, at most {_NAME_CHARS} characters"
        raise _wrong(f"UPLOAD: '{name[:_SHOWN_CHARS]}' cannot name a table; allowed are {allowed}.")
    if name.upper() in RESERVED:
        raise _wrong(f"UPLOAD: '{name}' is a word of ADQL and cannot name a table; choose another name.")
    upload = Upload(name, uri)
    if upload.part is None:
        _check_address(upload, hosts)
    return upload


def _check_address(upload: Upload, hosts: frozenset[str]) -> None:
    shown = f"Upload '{upload.name}': '{upload.uri[:_SHOWN_CHARS]}'"
    if not upload.uri.lower().startswith(_WEB):
        raise _wrong(f"{shown} cannot be read; allowed are param: (a part of the request), http:// and https://.")
    try:
        address = urlsplit(upload.uri)
        host, port = address.hostname or "", address.port or PORTS[address.scheme]
    except ValueError:
        raise _wrong(f"{shown} is no address.") from None
    if address.username is not None or not {host, f"{host}:{port}"} & hosts:
        allowed = f"allowed are {', '.join(sorted(hosts))}" if hosts else "none is allowed here"
        raise _wrong(f"{shown} is not on an allowed host ({allowed}); send the table with the request (param:).")


def _wrong(message: str) -> UsageError:
    return UsageError(message, parameter="UPLOAD")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedTable:
    """A table that was converted.

    Parameters
    ----------
    path
        A Parquet file with the fields, and `_healpix_29` where there are positions (NULL in rows without one).
    ra_column, dec_column
        Principal position, ICRS degrees.
    """

    name: str
    path: Path
    fields: tuple[Field, ...]
    row_count: int
    ra_column: str | None = None
    dec_column: str | None = None

    @property
    def snapshot(self) -> Snapshot:
        """As an engine reads it."""
        table = Table(
            schema=UPLOAD_SCHEMA,
            name=self.name,
            description="Uploaded for this query.",
            columns=tuple(Column(field=field) for field in self.fields),
            ra_column=self.ra_column,
            dec_column=self.dec_column,
            row_count=self.row_count,
        )
        return Snapshot(table, (Partition(PLAIN_ORDER, 0, self.path, self.row_count),))
