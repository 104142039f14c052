"""Fields: what a column of a table or of a result is, in the words of VOTable and TAP_SCHEMA."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa


class DataType(StrEnum):
    """Types a column may have: the VOTable primitives (VOTable 1.4, section 2.1), plus `TIMESTAMP`.

    `TIMESTAMP` is stored as Arrow `timestamp[us]` (UTC) and travels as `char(*)` with xtype `timestamp`
    (DALI 1.1, section 3.1.2).
    """

    BOOLEAN = "boolean"
    UNSIGNED_BYTE = "unsignedByte"
    SHORT = "short"
    INT = "int"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    CHAR = "char"
    TIMESTAMP = "timestamp"

    @property
    def is_numeric(self) -> bool:
        """Whether arithmetic is defined."""
        return self in _NUMERIC

    @property
    def is_integer(self) -> bool:
        """Whether division truncates (ADQL 2.1, section 2.2.7)."""
        return self in _INTEGER


_INTEGER = frozenset({DataType.UNSIGNED_BYTE, DataType.SHORT, DataType.INT, DataType.LONG})
_NUMERIC = _INTEGER | {DataType.FLOAT, DataType.DOUBLE}

_ARROW: dict[DataType, pa.DataType] = {
    DataType.BOOLEAN: pa.bool_(),
    DataType.UNSIGNED_BYTE: pa.uint8(),
    DataType.SHORT: pa.int16(),
    DataType.INT: pa.int32(),
    DataType.LONG: pa.int64(),
    DataType.FLOAT: pa.float32(),
    DataType.DOUBLE: pa.float64(),
    DataType.CHAR: pa.string(),
    DataType.TIMESTAMP: pa.timestamp("us"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column of a table or result.

    Parameters
    ----------
    name
        Name as published, case preserved.
    datatype
        Type of one element.
    arraysize
        VOTable arraysize (`*`, `2`, `8*`), or None for a scalar. A string is `char` with arraysize `*`.
        A numeric array (a DALI geometry: `point` has arraysize `2`) travels as an Arrow list.
    xtype, unit, ucd, utype, description
        As in VOTable; unit in VOUnits syntax.
    nullable
        Whether a row may have no value.
    is_unicode
        Of a text: whether letters outside ASCII may stand in it, so that it travels as `unicodeChar`
        (VOTable 1.4, section 2.1).
    origin
        Of a column of a result whose values are those of a stored column: which, as `schema.table.column`.
    """

    name: str
    datatype: DataType
    arraysize: str | None = None
    xtype: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    description: str | None = None
    nullable: bool = True
    is_unicode: bool = False
    origin: str = ""

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type in which values of this field travel between processes."""
        element = _ARROW[self.datatype]
        is_array = self.arraysize is not None and self.datatype is not DataType.CHAR
        return pa.list_(element) if is_array else element


def arrow_schema(fields: tuple[Field, ...]) -> pa.Schema:
    """The Arrow schema of a result with these fields."""
    return pa.schema([pa.field(field.name, field.arrow_type) for field in fields])
