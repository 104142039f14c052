"""Filters of rows: whether the value of a column compares so with what is given; one evaluator for API and Portal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.errors import UsageError

Value = str | bool | int | float | None
"""One value; 64-bit identifiers are strings of digits, since JSON numbers of browsers end at 2**53."""

_COMPARED = {
    "=": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip
_TEXT = ("contains", "starts with")
_NULL = ("is null", "is not null")
OPERATORS: Final = (*_COMPARED, "between", "in", *_TEXT, *_NULL)
"""All there are; `between` and `in` take `values`, the last two nothing, the others `value`."""


class RowFilter(Protocol):
    """Rows that are kept: those whose value compares so. Nulls pass `is null` only."""

    @property
    def column(self) -> str:
        """Name of the column."""
        ...

    @property
    def op(self) -> str:
        """One of `OPERATORS`."""
        ...

    @property
    def value(self) -> Value:
        """What to compare with."""
        ...

    @property
    def values(self) -> Sequence[Value]:
        """Both ends, included, of `between`; or the set of `in`."""
        ...


def passes(column: pa.Array, wanted: RowFilter) -> pa.Array:
    """Whether each value passes; shape (rows,), null where the value is null and that is not asked for.

    Raises
    ------
    UsageError
        If the operator is none, or the column or what it is compared with does not fit it.
    """
    if wanted.op not in OPERATORS:
        raise _wrong(wanted, f"is compared by '{wanted.op[:20]}'; allowed are {', '.join(OPERATORS)}")
    if wanted.op in _NULL:
        return pc.is_null(column) if wanted.op == "is null" else pc.is_valid(column)
    if pa.types.is_list(column.type):
        raise _wrong(wanted, "holds lists, which can be tested for null only")
    if wanted.op in _TEXT:
        return _text(column, wanted)
    if wanted.op == "in":
        column, values = _comparable(column, wanted.values, wanted)
        return pc.is_in(column, value_set=values)
    if wanted.op == "between":
        return _between(column, wanted)
    if wanted.value is None:
        raise _wrong(wanted, "is compared with null: use 'is null' or 'is not null'")
    column, values = _comparable(column, [wanted.value], wanted)
    return _COMPARED[wanted.op](column, values[0])


def _between(column: pa.Array, wanted: RowFilter) -> pa.Array:
    column, values = _comparable(column, wanted.values, wanted)
    if len(values) != 2 or None in wanted.values:  # noqa: PLR2004 -- two ends
        raise _wrong(wanted, "needs two values for 'between'")
    low, high = sorted(values.to_pylist())
    ends = [pa.scalar(end, values.type) for end in (low, high)]
    return pc.and_(pc.greater_equal(column, ends[0]), pc.less_equal(column, ends[1]))


def _text(column: pa.Array, wanted: RowFilter) -> pa.Array:
    if not pa.types.is_string(column.type) or not isinstance(wanted.value, str):
        raise _wrong(wanted, f"is no text, so '{wanted.op}' is not possible")
    search = pc.match_substring if wanted.op == "contains" else pc.starts_with
    return search(column, wanted.value, ignore_case=True)


def _comparable(column: pa.Array, values: Sequence[Value], wanted: RowFilter) -> tuple[pa.Array, pa.Array]:
    """A column and values of one type: fractions as double, long integers exactly, moments from ISO 8601."""
    kind = column.type
    try:
        if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and any(isinstance(v, float) for v in values)):
            return column.cast(pa.float64(), safe=False), pa.array([_number(v, float) for v in values], pa.float64())
        if pa.types.is_integer(kind):
            return column.cast(pa.int64()), pa.array([_number(v, int) for v in values], pa.int64())
        if pa.types.is_timestamp(kind):
            return column, pa.array([_moment(v) for v in values], pa.string()).cast(kind)
        return column, pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError, TypeError, OverflowError):
        raise _wrong(wanted, f"is {kind}, and a value to compare with is not") from None


def _number(value: Value, kind: type[int | float]) -> int | float | None:
    if isinstance(value, bool):
        raise TypeError
    return None if value is None else kind(value)


def _moment(value: Value) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value.removesuffix("Z") if value else None


def _wrong(wanted: RowFilter, why: str) -> UsageError:
    return UsageError(f"Column '{wanted.column[:80]}' {why}.", parameter="filter")
