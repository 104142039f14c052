"""Reads the first table of a VOTable (VOTable 1.4) in any of its serialisations, some rows at a time."""

from __future__ import annotations

import base64
import binascii
import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from xml.parsers import expat

import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.fields import Field
from pachon.releases.importing.fits_source import FitsSource
from pachon.releases.importing.models import Source, SourceColumn, UnreadableFileError
from pachon.releases.importing.votable_binary import BinaryReader, VOTableField
from pachon.releases.importing.votable_rows import PlainRows

_READ_BYTES = 1024**2
_SERIALISATIONS = frozenset({"TABLEDATA", "BINARY", "BINARY2", "FITS"})
_BASE64_GROUP = 4


class _Document:
    """The first table of a document, as far as it was parsed.

    Attributes
    ----------
    rows
        Texts of the cells of rows in TABLEDATA; who takes them empties the list.
    stream
        Texts within STREAM, likewise.
    """

    def __init__(self, path: Path) -> None:
        self.fields: list[VOTableField] = []
        self.serialisation: str | None = None
        self.rows: list[list[str | None]] = []
        self.stream: list[str] = []
        self.is_done = False
        self._is_in_field = False
        self._path = path
        self._row: list[str | None] = []
        self._cell: str | None = None
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.EntityDeclHandler = _refuse_entity
        self._parser.SkippedEntityHandler = _refuse_entity
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def parse(self) -> Iterator[None]:
        """Parse the document up to the end of its first table; stops after each piece.

        Raises
        ------
        UnreadableFileError
            If it is damaged.
        """
        with self._path.open("rb") as file:
            while not self.is_done and (piece := file.read(_READ_BYTES)):
                self.feed(piece)
                yield
        if not self.is_done:
            raise UnreadableFileError("the document ends before its first TABLE does, or has none.")

    def feed(self, piece: bytes) -> None:
        """Parse a piece more.

        Raises
        ------
        UnreadableFileError
            If it is damaged.
        """
        try:
            self._parser.Parse(piece, False)  # noqa: FBT003 -- takes no keywords
        except expat.ExpatError as error:
            raise UnreadableFileError(f"the file is damaged, or no VOTable ({error}).") from None

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if name == "TD":
            self._cell = None
        elif name == "TR":
            self._row = []
        elif name == "FIELD":
            self.fields.append(VOTableField.from_attributes(attributes))
            self._is_in_field = True
        elif name == "VALUES" and self._is_in_field and "null" in attributes:
            self.fields[-1] = replace(self.fields[-1], null=attributes["null"])
        elif name == "DESCRIPTION" and self._is_in_field:
            self._cell = None
            self._parser.CharacterDataHandler = self._add_to_cell
        elif name in _SERIALISATIONS and not self.is_done:
            self.serialisation = name
            self._parser.CharacterDataHandler = self._add_to_cell
        elif name == "STREAM" and not self.is_done:
            if "href" in attributes or attributes.get("encoding") != "base64":
                raise UnreadableFileError("the STREAM of the table must be in the document, with encoding='base64'.")
            self._parser.CharacterDataHandler = self.stream.append

    def _end(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name == "TD":
            self._row.append(self._cell)
        elif name == "TR" and not self.is_done:
            self.rows.append(self._row)
        elif name == "FIELD":
            self._is_in_field = False
        elif name == "DESCRIPTION" and self._is_in_field:
            self.fields[-1] = replace(self.fields[-1], description=" ".join((self._cell or "").split()) or None)
            self._parser.CharacterDataHandler = None
        elif name in {"TABLE", "STREAM"}:
            self.is_done = True
            self._parser.CharacterDataHandler = None

    def _add_to_cell(self, text: str) -> None:
        self._cell = text if self._cell is None else self._cell + text


def _refuse_entity(name: str, *_: object) -> None:
    """Entities of a document's own may stand for anything of any size, and those of a DTD are not known here."""
    message = f"the XML entity '{name[:40]}' is not read: write what it stands for; &lt; &gt; &amp; &quot; &apos; and "
    raise UnreadableFileError(f"{message}numbers such as &#233; are allowed.")


def declared_fields(content: bytes) -> dict[str, Field]:
    """The fields of the first table of a small document, by name; none if it cannot be read."""
    document = _Document(Path())
    try:
        document.feed(content)
        return {field.name: field.declared for field in document.fields}
    except UnreadableFileError:
        return {}


def open_votable(path: Path) -> Source:
    """The first table of a document.

    Raises
    ------
    UnreadableFileError
        If there is none, or it is damaged.
    """
    document = _Document(path)
    parsing = document.parse()
    while document.serialisation is None and not document.is_done:
        next(parsing, None)
    fields = tuple(document.fields)
    if document.serialisation is None and not fields:
        raise UnreadableFileError("the first TABLE of the document has neither fields (FIELD) nor DATA.")
    if document.serialisation is None:
        return _TableData(path, fields)  # a table without DATA has no rows
    if document.serialisation == "TABLEDATA":
        return _TableData(path, fields)
    return _FitsStream(path) if document.serialisation == "FITS" else _Binary(path, fields, document.serialisation)


@dataclass(frozen=True)
class _TableData:
    """Rows as XML elements."""

    path: Path
    fields: tuple[VOTableField, ...]
    is_text: bool = True
    states_units: bool = True

    @property
    def columns(self) -> tuple[SourceColumn, ...]:
        return tuple(
            SourceColumn(field.name, pa.string(), field.unit, field.ucd, field.declared) for field in self.fields
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        plain, done = PlainRows(self.path, len(self.fields)), 0
        for batch in plain:
            done += len(batch)
            columns = [_without(column, field.null) for column, field in zip(batch.columns, self.fields, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, names=[field.name for field in self.fields])
        if not plain.is_complete:
            yield from self._parsed(skip=done)

    def _parsed(self, *, skip: int) -> Iterator[pa.RecordBatch]:
        """The rows after so many, from a parser that knows all of XML."""
        document, done = _Document(self.path), 0
        for _ in document.parse():
            rows, document.rows = document.rows, []
            for number, row in enumerate(rows, start=done + 1):
                if len(row) != len(self.fields):
                    message = f"the row has {len(row)} cells (TD), and there are {len(self.fields)} fields."
                    raise UnreadableFileError(message, row=number)
            rows, done = rows[max(0, skip - done) :], done + len(rows)
            if rows:
                columns = map(_texts, zip(*rows, strict=True), self.fields)
                yield pa.RecordBatch.from_arrays(list(columns), names=[field.name for field in self.fields])


def _texts(values: tuple[str | None, ...], field: VOTableField) -> pa.Array:
    return _without(pa.array(values, pa.string()), field.null)


def _without(texts: pa.Array, null: str | None) -> pa.Array:
    return texts if null is None else pc.if_else(pc.equal(texts, null), pa.scalar(None, pa.string()), texts)


@dataclass(frozen=True)
class _Binary:
    """Rows in a stream of bytes."""

    path: Path
    fields: tuple[VOTableField, ...]
    serialisation: str
    is_text: bool = False
    states_units: bool = True

    @cached_property
    def _reader(self) -> BinaryReader:
        return BinaryReader(self.fields, has_flags=self.serialisation == "BINARY2")

    @property
    def columns(self) -> tuple[SourceColumn, ...]:
        pairs = zip(self.fields, self._reader.schema, strict=True)
        return tuple(
            SourceColumn(field.name, found.type, field.unit, field.ucd, field.declared) for field, found in pairs
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self._reader.read(_stream(self.path))


@dataclass(frozen=True)
class _FitsStream:
    """Rows in a FITS file within the document, which is unpacked to a temporary file."""

    path: Path
    is_text: bool = False
    states_units: bool = True

    @cached_property
    def columns(self) -> tuple[SourceColumn, ...]:
        with self._unpacked() as source:
            return source.columns

    def batches(self) -> Iterator[pa.RecordBatch]:
        with self._unpacked() as source:
            yield from source.batches()

    @contextlib.contextmanager
    def _unpacked(self) -> Iterator[FitsSource]:
        with tempfile.NamedTemporaryFile(suffix=".fits") as file:
            file.writelines(_stream(self.path))
            file.flush()
            yield FitsSource(Path(file.name))


def _stream(path: Path) -> Iterator[bytes]:
    """The bytes of the first STREAM, as they are decoded."""
    document, rest = _Document(path), ""
    try:
        for _ in document.parse():
            text = rest + "".join("".join(document.stream).split())
            document.stream.clear()
            whole = len(text) - len(text) % _BASE64_GROUP
            rest = text[whole:]
            yield base64.b64decode(text[:whole], validate=True)
    except binascii.Error:
        raise UnreadableFileError("the STREAM of the table is not base64.") from None
    if rest:
        raise UnreadableFileError("the STREAM of the table ends within a group of base64.")
