"""Reads the first table of a VOTable (VOTable 1.4) in any of its serialisations, some rows at a time."""

from __future__ import annotations

import base64
import binascii
import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from lxml import etree

from pachon.releases.importing.fits_source import FitsSource
from pachon.releases.importing.models import Source, SourceColumn, UnreadableFileError
from pachon.releases.importing.votable_binary import BinaryReader, VOTableField

_BATCH_ROWS = 16_384
_READ_BYTES = 1024**2
_SERIALISATIONS = ("TABLEDATA", "BINARY", "BINARY2", "FITS")
_BASE64_GROUP = 4
_TAGS = [f"{{*}}{name}" for name in ("FIELD", "VALUES", "TR", "TABLE", *_SERIALISATIONS)]


def open_votable(path: Path) -> Source:
    """The first table of a document.

    Raises
    ------
    UnreadableFileError
        If there is none, or it is damaged.
    """
    fields: list[VOTableField] = []
    with _readable():
        for event, element in _elements(path):
            name = etree.QName(element).localname
            if event == "start" and name == "FIELD":
                fields.append(VOTableField.from_attributes(element.attrib))
            elif event == "start" and name == "VALUES" and fields:
                fields[-1] = replace(fields[-1], null=element.get("null"))
            elif event == "start" and name in _SERIALISATIONS:
                return _source(path, tuple(fields), name)
            elif event == "end" and name == "TABLE":
                break
    raise UnreadableFileError("the first TABLE of the document has no DATA.")


def _source(path: Path, fields: tuple[VOTableField, ...], serialisation: str) -> Source:
    if serialisation == "TABLEDATA":
        return _TableData(path, fields)
    return _FitsStream(path) if serialisation == "FITS" else _Binary(path, fields, serialisation == "BINARY2")


@dataclass(frozen=True)
class _TableData:
    """Rows as XML elements."""

    path: Path
    fields: tuple[VOTableField, ...]
    is_text: bool = True
    states_units: bool = True

    @property
    def columns(self) -> tuple[SourceColumn, ...]:
        return tuple(SourceColumn(field.name, pa.string(), field.unit) for field in self.fields)

    def batches(self) -> Iterator[pa.RecordBatch]:
        rows = self._rows()
        while block := list(itertools.islice(rows, _BATCH_ROWS)):
            columns = [
                _texts(values, field) for values, field in zip(zip(*block, strict=True), self.fields, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, names=[field.name for field in self.fields])

    def _rows(self) -> Iterator[list[str | None]]:
        done = 0
        with _readable():
            for event, element in _elements(self.path):
                if event == "end" and element.tag.endswith("TABLE"):
                    return
                if event == "end" and element.tag.endswith("TR"):
                    cells = [cell.text for cell in element.iterchildren("{*}TD")]
                    done += 1
                    if len(cells) != len(self.fields):
                        message = f"the row has {len(cells)} cells (TD), and there are {len(self.fields)} fields."
                        raise UnreadableFileError(message, row=done)
                    yield cells
                    _forget(element)


def _texts(values: tuple[str | None, ...], field: VOTableField) -> pa.Array:
    texts = pa.array(values, pa.string())
    return texts if field.null is None else pc.if_else(pc.equal(texts, field.null), pa.scalar(None, pa.string()), texts)


def _forget(element: Any) -> None:  # noqa: ANN401 -- lxml has no types
    """Free an element that was read, and those before it."""
    element.clear()
    parent = element.getparent()
    while element.getprevious() is not None:
        del parent[0]


@dataclass(frozen=True)
class _Binary:
    """Rows in a stream of bytes."""

    path: Path
    fields: tuple[VOTableField, ...]
    has_flags: bool
    is_text: bool = False
    states_units: bool = True

    @cached_property
    def _reader(self) -> BinaryReader:
        return BinaryReader(self.fields, has_flags=self.has_flags)

    @property
    def columns(self) -> tuple[SourceColumn, ...]:
        pairs = zip(self.fields, self._reader.schema, strict=True)
        return tuple(SourceColumn(field.name, found.type, field.unit) for field, found in pairs)

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


class _StreamTarget:
    """Takes what a parser finds in the first STREAM of a document."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._is_inside = False
        self.is_done = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Refuse a stream that is elsewhere, or packed in another way."""
        if tag.endswith("STREAM") and not self.is_done:
            if "href" in attributes or attributes.get("encoding") != "base64":
                raise UnreadableFileError("the STREAM of the table must be in the document, with encoding='base64'.")
            self._is_inside = True

    def end(self, tag: str) -> None:
        """Stop at the end of the stream."""
        if tag.endswith("STREAM"):
            self._is_inside, self.is_done = False, True

    def data(self, text: str) -> None:
        """Keep what is in the stream."""
        if self._is_inside:
            self._texts.append(text)

    def close(self) -> None:
        """Nothing is left to do."""

    def taken(self) -> str:
        """What came since the last call, without white space."""
        text = "".join("".join(self._texts).split())
        self._texts.clear()
        return text


def _stream(path: Path) -> Iterator[bytes]:
    """The bytes of the first STREAM, as they are decoded."""
    target = _StreamTarget()
    parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True, huge_tree=True)
    rest = ""
    with _readable(), path.open("rb") as file:
        while not target.is_done and (data := file.read(_READ_BYTES)):
            parser.feed(data)
            text = rest + target.taken()
            whole = len(text) - len(text) % _BASE64_GROUP
            rest = text[whole:]
            yield base64.b64decode(text[:whole], validate=True)
    if not target.is_done or rest:
        raise UnreadableFileError("the document ends within its STREAM.")


def _elements(path: Path) -> Iterator[tuple[str, Any]]:
    parsed = etree.iterparse(
        path, events=("start", "end"), tag=_TAGS, resolve_entities=False, no_network=True, huge_tree=True
    )
    yield from parsed


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (etree.XMLSyntaxError, OSError) as error:
        raise UnreadableFileError(f"the file is damaged, or no VOTable ({error}).") from None
    except (binascii.Error, UnicodeDecodeError):
        raise UnreadableFileError("the STREAM of the table is not what its encoding says.") from None
