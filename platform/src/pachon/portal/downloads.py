"""Results at hand, within limits, and their downloads in formats that other tools read; nothing is asked again."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from pachon.core.errors import LimitError
from pachon.core.fields import DataType, Field
from pachon.vo import columnar, delimited, votable
from pachon.vo.models import Heading, Info

if TYPE_CHECKING:
    import pyarrow as pa
    from bokeh.server.auth_provider import AuthProvider

    from pachon.vo.models import Writer
    from pachon_client import Result

_DESCRIPTION = b"IVOA.VOTable-Parquet.content"
_BATCH_ROWS = 16_384
_MEBIBYTE = 1024**2
_LIMIT_BYTES = 2048 * _MEBIBYTE
_LIMIT_PER_PERSON_BYTES = 512 * _MEBIBYTE
_DRAWN_BYTES_A_ROW = 64
"""Positions on sky and plane, two axes, the order of rows and the selection, while a session shows them."""


@dataclass(frozen=True, slots=True)
class Form:
    """A format to download: what a person reads, its media type, and who writes it."""

    title: str
    media_type: str
    write: Writer


FORMS = {
    "csv": Form("CSV", "text/csv; charset=utf-8; header=present", delimited.write_csv),
    "vot": Form("VOTable", votable.MEDIA_TYPE, votable.write_binary2),
    "parquet": Form("Parquet", "application/vnd.apache.parquet", columnar.write_parquet),
}
"""By file name extension."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A result that its owner may download, and the query it answers."""

    owner: str
    adql: str
    result: Result

    @property
    def size_bytes(self) -> int:
        """Memory that the rows take, and what a session draws from them."""
        return int(self.result.table.nbytes) + _DRAWN_BYTES_A_ROW * len(self.result)


class Downloads:
    """Results that sessions show at the moment, each under a key that nobody can guess.

    Parameters
    ----------
    limit_bytes, limit_per_person_bytes
        Memory that all results of the process, and those of one person, may take. Beyond it the oldest are given up.
    """

    def __init__(
        self, *, limit_bytes: int = _LIMIT_BYTES, limit_per_person_bytes: int = _LIMIT_PER_PERSON_BYTES
    ) -> None:
        self._limit_bytes, self._limit_per_person_bytes = limit_bytes, limit_per_person_bytes
        self._kept: dict[str, Kept] = {}
        self._given_up: dict[str, Callable[[str], None]] = {}

    def keep(self, kept: Kept, *, given_up: Callable[[str], None]) -> str:
        """Offer a result; returns its key.

        Parameters
        ----------
        given_up
            Told the key when the result made room for newer ones; whoever shows it must let it go.

        Raises
        ------
        LimitError
            If it takes more than one person's results may.
        """
        limit = min(self._limit_bytes, self._limit_per_person_bytes)
        if kept.size_bytes > limit:
            size = (
                f"{kept.size_bytes / _MEBIBYTE:,.0f} MiB; the Portal shows results up to {limit / _MEBIBYTE:,.0f} MiB"
            )
            raise LimitError(f"The {len(kept.result):,} rows take {size}. Ask for fewer columns or rows.")
        mine = [key for key, other in self._kept.items() if other.owner == kept.owner]
        self._make_room(mine, self._limit_per_person_bytes - kept.size_bytes)
        self._make_room(list(self._kept), self._limit_bytes - kept.size_bytes)
        key = secrets.token_urlsafe(16)
        self._kept[key], self._given_up[key] = kept, given_up
        return key

    def _make_room(self, keys: list[str], limit_bytes: int) -> None:
        """Give up the oldest of some results until the others take no more than a limit."""
        size_bytes = sum(self._kept[key].size_bytes for key in keys)
        for key in keys:
            if size_bytes <= limit_bytes:
                return
            size_bytes -= self._kept[key].size_bytes
            given_up = self._given_up[key]
            self.drop(key)
            given_up(key)

    def drop(self, key: str | None) -> None:
        """Offer a result no longer."""
        self._kept.pop(key or "", None)
        self._given_up.pop(key or "", None)

    def find(self, key: str, owner: str) -> Kept | None:
        """The result under a key, if it is this person's."""
        kept = self._kept.get(key)
        return kept if kept is not None and kept.owner == owner else None


@dataclass(slots=True)
class ResultRows:
    """A result as writers read rows."""

    result: Result
    overflow: bool = field(init=False)

    def __post_init__(self) -> None:
        self.overflow = self.result.overflow

    @property
    def fields(self) -> tuple[Field, ...]:
        """Columns with all that the platform said of them."""
        return fields_of(self.result.table.schema)

    @property
    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, some at a time."""
        bare = self.result.table.replace_schema_metadata(None)
        return iter(bare.to_batches(max_chunksize=_BATCH_ROWS))


def fields_of(schema: pa.Schema) -> tuple[Field, ...]:
    """The fields of an answer, from the VOTable without rows that its Arrow schema carries (VOParquet 1.0)."""
    root = ET.fromstring(schema.metadata[_DESCRIPTION])  # noqa: S314 -- written by the platform itself
    return tuple(_field(element) for element in root.iter() if element.tag.rpartition("}")[2] == "FIELD")


def _field(element: ET.Element) -> Field:
    is_timestamp = element.get("xtype") == "timestamp"
    return Field(
        name=element.attrib["name"],
        datatype=DataType.TIMESTAMP if is_timestamp else DataType(element.attrib["datatype"]),
        arraysize=None if is_timestamp else element.get("arraysize"),
        xtype=element.get("xtype"),
        unit=element.get("unit"),
        ucd=element.get("ucd"),
        utype=element.get("utype"),
        description=next((child.text for child in element if child.tag.rpartition("}")[2] == "DESCRIPTION"), None),
    )


def links(key: str, *, root: str) -> dict[str, str]:
    """Addresses of a kept result by the title of their format."""
    return {form.title: f"{root}/portal/download/{quote(key)}.{extension}" for extension, form in FORMS.items()}


class Download(RequestHandler):
    """One result in one format, for the person whose session shows it."""

    def initialize(self, downloads: Downloads, logins: AuthProvider) -> None:
        """Take what the server gives."""
        self._downloads, self._logins = downloads, logins

    async def get(self, key: str, extension: str) -> None:
        """Send it as it is written."""
        name = await self._logins.get_user_async(self)
        kept = self._downloads.find(key, name) if name else None
        if kept is None:
            self._refuse()
            return
        form = FORMS[extension]
        self.set_header("Content-Type", form.media_type)
        self.set_header("Content-Disposition", f'attachment; filename="result.{extension}"')
        self.set_header("Cache-Control", "no-store")
        heading = Heading(infos=(Info("QUERY", kept.adql), Info("EXECUTION", kept.result.execution_id)))
        await self._send(form.write(ResultRows(kept.result), heading))

    async def _send(self, chunks: Iterator[bytes]) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (chunk := await loop.run_in_executor(None, next, chunks, None)) is not None:
                self.write(chunk)
                await self.flush()
        except StreamClosedError:
            return

    def _refuse(self) -> None:
        self.set_status(HTTPStatus.NOT_FOUND)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        _ = self.finish("This result is not shown any more. Run the query again in the Portal, then download it.\n")

    def data_received(self, chunk: bytes) -> Any:  # noqa: ANN401 -- tornado's signature
        """Nothing is uploaded here."""
