"""FITS binary tables (FITS 4.0, section 7.3), through a spool: the header holds the number of rows and all widths.

Short texts are of fixed width; long texts and lists of varying length stand in the heap, found by descriptors (7.3.5).
Letters outside ASCII cannot stand in FITS: they lose their accents, or become `?`. UCDs and descriptions are in TUCDn
and TCOMMn, as other astronomical software writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.errors import UsageError
from pachon.core.fields import DataType, Field
from pachon.vo import binary, cells
from pachon.vo.cards import Card, header, padding
from pachon.vo.columns import Column, Facts, is_ascii, is_text, seen_whole
from pachon.vo.models import Heading, Rows
from pachon.vo.spool import Spool, spooled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pachon.vo.cards import Card

_MAX_COLUMNS = 999
_MAX_TEXT_BYTES = 1024
_LETTERS = {
    DataType.BOOLEAN: "L",
    DataType.UNSIGNED_BYTE: "B",
    DataType.SHORT: "I",
    DataType.INT: "J",
    DataType.LONG: "K",
    DataType.FLOAT: "E",
    DataType.DOUBLE: "D",
    DataType.CHAR: "A",
}
_UNKNOWN = ord("?")


def write_fits(rows: Rows, heading: Heading) -> Iterator[bytes]:
    """A primary header alone, and the rows as a binary table; the card QSTATUS is OK or OVERFLOW.

    Raises
    ------
    UsageError
        If there are more columns than FITS can hold: at once, before any row is asked for.
    """
    if len(rows.fields) > _MAX_COLUMNS:
        raise UsageError(
            f"FITS holds at most {_MAX_COLUMNS} columns, not {len(rows.fields)}; choose fewer, or votable or parquet."
        )
    return _document(rows, heading)


def _document(rows: Rows, heading: Heading) -> Iterator[bytes]:
    yield header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)])
    fields = tuple(_as_text(field) for field in rows.fields)
    schema = pa.schema([pa.field(field.name, field.arrow_type) for field in fields])
    changed: set[str] = set()
    with spooled(_ascii(rows, schema, changed), schema) as spool:
        columns = [_FitsColumn(*known) for known in zip(seen_whole(fields, spool.facts), spool.facts, strict=True)]
        yield header([*_cards(columns, spool, rows, heading), *_warnings(fields, changed)])
        yield from _data(columns, spool)


def _as_text(field: Field) -> Field:
    return replace(field, datatype=DataType.CHAR, arraysize="*") if field.datatype is DataType.TIMESTAMP else field


def _ascii(rows: Rows, schema: pa.Schema, changed: set[str]) -> Iterator[pa.RecordBatch]:
    """The rows with all texts in ASCII; takes note of the columns that lost letters."""
    as_text = [field.datatype in {DataType.CHAR, DataType.TIMESTAMP} for field in rows.fields]
    for batch in cells.parts(rows.batches):
        triples = list(zip(batch.columns, rows.fields, as_text, strict=True))
        changed |= {field.name for values, field, _ in triples if is_text(field) and not is_ascii(values)}
        arrays = [cells.ascii_text(values, field) if text else values for values, field, text in triples]
        yield pa.record_batch(
            [array.cast(kind) for array, kind in zip(arrays, schema.types, strict=True)], schema=schema
        )


@dataclass(frozen=True, slots=True)
class _FitsColumn:
    """A column and what is known of its values."""

    column: Column
    facts: Facts

    @property
    def field(self) -> Field:
        """What the column is."""
        return self.column.field

    @property
    def is_text(self) -> bool:
        """Whether values are texts."""
        return self.field.datatype is DataType.CHAR

    @property
    def is_in_heap(self) -> bool:
        """Whether rows hold descriptors, and the heap the values."""
        if self.is_text:
            return self.facts.longest > _MAX_TEXT_BYTES
        return self.field.arraysize is not None and not self.field.arraysize.isdecimal()

    @property
    def width(self) -> int:
        """Elements, or bytes of text, in each row."""
        return max(self.facts.longest, 1) if self.is_text else int(self.field.arraysize or 1)

    @property
    def kind(self) -> np.dtype[Any]:
        """How numpy calls an element."""
        return np.dtype("u1" if self.is_text else binary.BIG_ENDIAN[self.field.datatype])

    @property
    def heap_bytes(self) -> int:
        """What it takes of the heap."""
        return self.facts.total * self.kind.itemsize if self.is_in_heap else 0

    def row_bytes(self, descriptor: np.dtype[Any]) -> int:
        """What it takes of a row."""
        return 2 * descriptor.itemsize if self.is_in_heap else self.width * self.kind.itemsize

    def form(self, descriptor: np.dtype[Any]) -> str:
        """The value of TFORMn."""
        letter = _LETTERS[self.field.datatype]
        if self.is_in_heap:
            return f"1{'P' if descriptor.itemsize == np.dtype('>i4').itemsize else 'Q'}{letter}({self.facts.longest})"
        return f"{self.width}{letter}"

    def fixed(self, values: pa.Array) -> NDArray[Any]:
        """Values as they stand in rows, shape (rows,) or (rows, width)."""
        null = self.column.null or 0
        if self.is_text:
            padded = pc.ascii_rpad(values.fill_null("").cast(pa.large_string()), width=self.width, padding="\0")
            return np.frombuffer(cells.content(padded), np.uint8).reshape(len(values), self.width)
        if self.field.arraysize is None:
            found = binary.numbers(values, self.field.datatype, null=null)
        else:
            found = binary.fixed_lists(values, self.field.datatype, length=self.width, null=null)
        return np.where(found == _UNKNOWN, 0, found) if self.field.datatype is DataType.BOOLEAN else found

    def lengths(self, values: pa.Array) -> NDArray[np.int64]:
        """Elements, or bytes of text, of each value in the heap."""
        if self.is_text:
            return np.asarray(pc.binary_length(values).fill_null(0).to_numpy().astype(np.int64))
        return binary.list_lengths(values)

    def heap(self, values: pa.Array) -> bytes:
        """Values as they stand in the heap."""
        if self.is_text:
            return cells.content(values.fill_null("").cast(pa.large_binary()))
        found = binary.numbers(values.flatten(), self.field.datatype, null=self.column.null or 0)
        return found.astype(self.kind).tobytes()


def _descriptor(columns: Iterable[_FitsColumn]) -> np.dtype[Any]:
    """The integer of descriptors: 32 bits (P) as long as they reach over the heap, else 64 (Q)."""
    return np.dtype(">i4" if sum(column.heap_bytes for column in columns) < 2**31 else ">i8")


def _cards(columns: list[_FitsColumn], spool: Spool, rows: Rows, heading: Heading) -> Iterator[Card]:
    """The header of the table."""
    descriptor = _descriptor(columns)
    yield from (("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2))
    yield "NAXIS1", sum(column.row_bytes(descriptor) for column in columns)
    yield "NAXIS2", spool.row_count
    yield "PCOUNT", sum(column.heap_bytes for column in columns)
    yield from (("GCOUNT", 1), ("TFIELDS", len(columns)))
    for number, column in enumerate(columns, 1):
        yield from _column_cards(column, number, descriptor)
    yield "QSTATUS", "OVERFLOW" if rows.overflow else "OK"
    for info in heading.infos:
        yield "HISTORY", f"{info.name}: {info.text or info.value}"


def _warnings(fields: tuple[Field, ...], changed: set[str]) -> Iterator[Card]:
    if changed:
        names = ", ".join(field.name for field in fields if field.name in changed)
        yield "HISTORY", f"warning: letters outside ASCII were replaced in {names}; VOTable and Parquet keep them"


def _column_cards(column: _FitsColumn, number: int, descriptor: np.dtype[Any]) -> Iterator[Card]:
    field = column.field
    yield f"TTYPE{number}", field.name
    yield f"TFORM{number}", column.form(descriptor)
    if column.column.null is not None:
        yield f"TNULL{number}", column.column.null
    for name, value in {"TUNIT": field.unit, "TUCD": field.ucd, "TCOMM": field.description}.items():
        if value:
            yield f"{name}{number}", value


def _data(columns: list[_FitsColumn], spool: Spool) -> Iterator[bytes]:
    """Rows, then the heap in the same order, then zeros up to the end of the block."""
    descriptor = _descriptor(columns)
    written_bytes = heap_bytes = 0
    for batch in spool:
        block = binary.Block(batch.num_rows)
        for column, values in zip(columns, batch.columns, strict=True):
            if column.is_in_heap:
                lengths = column.lengths(values)
                ends = heap_bytes + np.cumsum(lengths) * column.kind.itemsize
                block.add(np.column_stack([lengths, ends - lengths * column.kind.itemsize]), descriptor.str)
                heap_bytes = int(ends[-1])
            else:
                block.add(column.fixed(values), column.kind.str)
        rows = block.take().tobytes()
        written_bytes += len(rows)
        yield rows
    yield from _heap(columns, spool)
    yield padding(written_bytes + heap_bytes)


def _heap(columns: list[_FitsColumn], spool: Spool) -> Iterator[bytes]:
    if not any(column.is_in_heap for column in columns):
        return
    for batch in spool:
        for column, values in zip(columns, batch.columns, strict=True):
            if column.is_in_heap:
                yield column.heap(values)
