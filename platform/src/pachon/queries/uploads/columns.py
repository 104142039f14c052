"""Columns of an uploaded table: which fields they become, and which two are the position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import pyarrow as pa

from pachon.core.errors import LimitError
from pachon.core.fields import DataType, Field
from pachon.queries.uploads.sniffing import value_types
from pachon.releases.hats.layout import SPATIAL_INDEX_COLUMN
from pachon.releases.importing.models import Source, SourceColumn, UnreadableFileError

_ARROW_TYPES: tuple[tuple[Callable[[pa.DataType], bool], DataType], ...] = (
    (pa.types.is_boolean, DataType.BOOLEAN),
    (pa.types.is_uint8, DataType.UNSIGNED_BYTE),
    (lambda found: pa.types.is_int8(found) or pa.types.is_int16(found), DataType.SHORT),
    (lambda found: pa.types.is_uint16(found) or pa.types.is_int32(found), DataType.INT),
    (pa.types.is_integer, DataType.LONG),
    (lambda found: pa.types.is_float16(found) or pa.types.is_float32(found), DataType.FLOAT),
    (lambda found: pa.types.is_floating(found) or pa.types.is_decimal(found), DataType.DOUBLE),
    (lambda found: pa.types.is_timestamp(found) or pa.types.is_date(found), DataType.TIMESTAMP),
    (lambda found: pa.types.is_string(found) or pa.types.is_large_string(found), DataType.CHAR),
    (lambda found: pa.types.is_string_view(found) or pa.types.is_binary(found), DataType.CHAR),
    (pa.types.is_null, DataType.CHAR),
)
_DEGREES = frozenset({None, "", "deg", "degree", "degrees"})
_RA_NAMES, _DEC_NAMES = frozenset({"ra", "ra_icrs", "raj2000"}), frozenset({"dec", "de_icrs", "dej2000", "decj2000"})


@dataclass(frozen=True, slots=True)
class UploadedColumn:
    """Column number `place` of a file, and the field it becomes."""

    place: int
    field: Field


def uploaded_columns(source: Source, *, max_columns: int) -> tuple[UploadedColumn, ...]:
    """The columns that are kept: all but an index of positions, which is made anew.

    Raises
    ------
    UnreadableFileError
        If a column has no name, the name of another, or a type that is not read.
    LimitError
        If there are too many.
    """
    columns = source.columns
    if len(columns) > max_columns:
        raise LimitError(f"the table has {len(columns):,} columns; at most {max_columns:,} are allowed.")
    kept = [(place, column) for place, column in enumerate(columns) if column.name != SPATIAL_INDEX_COLUMN]
    _check_names([column.name for _, column in kept])
    if source.is_text and any(column.declared is None for column in columns):
        types = value_types(source)
        return tuple(UploadedColumn(place, _of_type(column, types[place])) for place, column in kept)
    return tuple(UploadedColumn(place, _described(column)) for place, column in kept)


def _check_names(names: list[str]) -> None:
    if not names:
        raise UnreadableFileError("the table has no columns.")
    if not all(name.strip() for name in names):
        number = next(number for number, name in enumerate(names, 1) if not name.strip())
        raise UnreadableFileError(f"column {number} has no name.")
    times = Counter(name.lower() for name in names)
    twice = [name for name in names if times[name.lower()] > 1]
    if twice:
        told = " and ".join(f"'{name}'" for name in twice[:2])
        raise UnreadableFileError(f"columns {told} have the same name (ADQL has no case); rename one of them.")


def _of_type(column: SourceColumn, datatype: DataType) -> Field:
    return Field(name=column.name, datatype=datatype, arraysize="*" if datatype is DataType.CHAR else None)


def _described(column: SourceColumn) -> Field:
    """As declared, with the type as found where these differ in kind."""
    if column.declared is not None and pa.types.is_string(column.type):
        return column.declared
    found = _found(column)
    if column.declared is None:
        return found
    declared = column.declared
    is_moment = declared.datatype is DataType.TIMESTAMP and found.datatype is DataType.CHAR
    datatype, arraysize = (declared.datatype, None) if is_moment else (found.datatype, found.arraysize)
    if arraysize is not None and declared.arraysize is not None and datatype is not DataType.CHAR:
        arraysize = declared.arraysize
    return replace(declared, name=column.name, datatype=datatype, arraysize=arraysize)


def _found(column: SourceColumn) -> Field:
    """By the Arrow type."""
    element, arraysize = column.type, None
    if pa.types.is_dictionary(element):
        element = element.value_type
    if pa.types.is_fixed_size_list(element):
        element, arraysize = element.value_type, str(element.list_size)
    elif pa.types.is_list(element) or pa.types.is_large_list(element):
        element, arraysize = element.value_type, "*"
    datatype = next((datatype for is_kind, datatype in _ARROW_TYPES if is_kind(element)), None)
    is_odd_array = arraysize is not None and (datatype is None or not datatype.is_numeric)
    if datatype is None or is_odd_array:
        allowed = "numbers, truth values, texts, moments and arrays of numbers"
        raise UnreadableFileError(f"column '{column.name}' has the type {column.type}; allowed are {allowed}.")
    arraysize = "*" if datatype is DataType.CHAR else arraysize
    return Field(name=column.name, datatype=datatype, arraysize=arraysize, unit=column.unit, ucd=column.ucd)


def position_columns(fields: tuple[Field, ...]) -> tuple[str, str] | None:
    """Names of right ascension and declination in degrees: by UCD, else by well-known names; None if there are none."""
    for ucd in ("pos.eq.{};meta.main", "pos.eq.{}"):
        ra, dec = (_only([each for each in fields if _ucd(each) == ucd.format(axis)]) for axis in ("ra", "dec"))
        if ra is not None and dec is not None:
            return ra, dec
    ra, dec = (_only([each for each in fields if each.name.lower() in names]) for names in (_RA_NAMES, _DEC_NAMES))
    return None if ra is None or dec is None else (ra, dec)


def _ucd(field: Field) -> str:
    return (field.ucd or "").lower().replace(" ", "")


def _only(fields: list[Field]) -> str | None:
    """Name of the only column of numbers in degrees."""
    found = [
        field.name
        for field in fields
        if field.datatype.is_numeric and field.arraysize is None and field.unit in _DEGREES
    ]
    return found[0] if len(found) == 1 else None
