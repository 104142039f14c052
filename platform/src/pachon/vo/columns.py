"""Columns as a document declares them: wide letters if there are any, and a value for null if there must be one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.errors import UsageError
from pachon.core.fields import DataType, Field

_RANGES = {
    DataType.UNSIGNED_BYTE: (0, 2**8 - 1),
    DataType.SHORT: (-(2**15), 2**15 - 1),
    DataType.INT: (-(2**31), 2**31 - 1),
    DataType.LONG: (-(2**63), 2**63 - 1),
}
_WIDER = {DataType.UNSIGNED_BYTE: DataType.SHORT, DataType.SHORT: DataType.INT, DataType.INT: DataType.LONG}


@dataclass(frozen=True, slots=True)
class Column:
    """A field as one document declares it.

    Parameters
    ----------
    is_unicode
        Whether a text is `unicodeChar` (VOTable 1.4, section 2.1): `char` is ASCII in binary streams.
    null
        The integer that stands for null, in serializations without null flags.
    """

    field: Field
    is_unicode: bool = False
    null: int | None = None


@dataclass(slots=True)
class Facts:
    """What is known of a column when all of it has passed.

    Parameters
    ----------
    null_count
        Nulls, those within lists included.
    smallest, largest
        Of integers; None without any.
    longest, total
        Bytes of texts, or elements of lists: in the longest value, and in all.
    is_ascii
        Whether no text has other letters.
    """

    null_count: int = 0
    smallest: int | None = None
    largest: int | None = None
    longest: int = 0
    total: int = 0
    is_ascii: bool = True

    def add(self, column: pa.Array) -> None:
        """Take one more piece of the column into account."""
        self.null_count += column.null_count
        if pa.types.is_list(column.type):
            self._measure(pc.list_value_length(column))
            column = column.flatten()
            self.null_count += column.null_count
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            self._measure(pc.binary_length(column))
            self.is_ascii = self.is_ascii and is_ascii(column)
        elif pa.types.is_integer(column.type):
            self._bound(column)

    def _measure(self, lengths: pa.Array) -> None:
        self.longest = max(self.longest, pc.max(lengths).as_py() or 0)
        self.total += pc.sum(lengths).as_py() or 0

    def _bound(self, column: pa.Array) -> None:
        ends = pc.min_max(column).as_py()
        if ends["min"] is not None:
            self.smallest = ends["min"] if self.smallest is None else min(self.smallest, ends["min"])
            self.largest = ends["max"] if self.largest is None else max(self.largest, ends["max"])


def is_ascii(texts: pa.Array) -> bool:
    """Whether every text is ASCII; nulls are."""
    return pc.all(pc.string_is_ascii(texts)).as_py() is not False


def is_text(field: Field) -> bool:
    """Whether values are texts that people wrote: timestamps are not."""
    return field.datatype is DataType.CHAR


def seen_first(fields: tuple[Field, ...], batch: pa.RecordBatch | None) -> tuple[Column, ...]:
    """Columns by their fields and by what their first rows hold: a text with letters outside ASCII is declared wide."""
    if batch is None:
        return tuple(Column(field, is_unicode=is_text(field) and field.is_unicode) for field in fields)
    pairs = zip(fields, batch.columns, strict=True)
    return tuple(Column(field, is_unicode=_is_wide(field, values)) for field, values in pairs)


def _is_wide(field: Field, values: pa.Array) -> bool:
    return is_text(field) and (field.is_unicode or not is_ascii(values))


def seen_whole(fields: tuple[Field, ...], facts: tuple[Facts, ...]) -> tuple[Column, ...]:
    """Columns by all their rows: as `seen_first`, and integers with nulls get a value for them that no row holds.

    Raises
    ------
    UsageError
        If a column with nulls uses 64-bit integers from end to end.
    """
    return tuple(_with_null(field, known) for field, known in zip(fields, facts, strict=True))


def _with_null(field: Field, facts: Facts) -> Column:
    """The column with a spare value for null, in the next wider type if its own has none to spare."""
    if not (facts.null_count and field.datatype.is_integer):
        return Column(field, is_unicode=is_text(field) and (field.is_unicode or not facts.is_ascii))
    low, high = _RANGES[field.datatype]
    if facts.smallest is None or facts.smallest > low:
        return Column(field, null=low)
    if facts.largest is None or facts.largest < high:
        return Column(field, null=high)
    if field.datatype is DataType.LONG:
        raise UsageError(
            f"The column {field.name} leaves no value for null in this format; choose votable, csv, parquet or arrow."
        )
    return _with_null(replace(field, datatype=_WIDER[field.datatype]), facts)
