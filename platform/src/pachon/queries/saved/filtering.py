"""Which rows of a result pass the filters and the selection of a view state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pachon.core.errors import UsageError
from pachon.core.fields import Field
from pachon.queries.saved.view_state import (
    AdqlSelection,
    BoxSelection,
    Filter,
    PolygonSelection,
    RowSelection,
    Value,
    ViewState,
)

_COMPARED = {
    "=": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip
_TEXT = frozenset({"contains", "starts with"})
_NULL = frozenset({"is null", "is not null"})
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Condition:
    """Filters and a selection, all of which a row must pass.

    Parameters
    ----------
    adql
        Condition in ADQL, until it is known for which rows it holds.
    rows
        Those, shape (rows of the result,).
    """

    filters: tuple[Filter, ...] = ()
    polygon: PolygonSelection | None = None
    adql: str | None = None
    rows: Mask | None = None

    @classmethod
    def of_view(cls, view: ViewState) -> Condition:
        """What a view state shows: its filters, and of these rows its selection."""
        selection = view.selection
        if isinstance(selection, AdqlSelection):
            return cls(tuple(view.filters), adql=selection.condition)
        filters, polygon = _of_selection(selection)
        return cls((*view.filters, *filters), polygon)

    def check(self, fields: tuple[Field, ...]) -> None:
        """Try the condition on no rows.

        Raises
        ------
        UsageError
            If a column is not there, or a value does not fit it.
        """
        schema = pa.schema([pa.field(field.name, field.arrow_type) for field in fields])
        named = [each.column for each in self.filters]
        named += [self.polygon.x, self.polygon.y] if self.polygon else []
        for name in named:
            if name not in schema.names:
                known = ", ".join(schema.names[:20])
                raise UsageError(f"The result has no column '{name[:80]}'; it has {known}.", parameter="filter")
        self.mask(pa.RecordBatch.from_pylist([], schema=schema))

    def mask(self, batch: pa.RecordBatch, *, first: int = 0) -> pa.Array:
        """Whether each row passes; shape (rows,), without nulls.

        Parameters
        ----------
        first
            Place of the first row in the result.
        """
        if self.adql is not None:
            raise RuntimeError("It is not known yet for which rows the condition holds.")
        masks = [_passes(batch.column(each.column), each) for each in self.filters]
        if self.polygon is not None:
            masks.append(_inside(batch, self.polygon))
        if self.rows is not None:
            masks.append(pa.array(self.rows[first : first + batch.num_rows]))
        whole = reduce(pc.and_kleene, masks, pa.array(np.ones(batch.num_rows, bool)))
        return pc.fill_null(whole, False)  # noqa: FBT003 -- pyarrow's own signature


def _of_selection(
    selection: BoxSelection | PolygonSelection | RowSelection | None,
) -> tuple[tuple[Filter, ...], PolygonSelection | None]:
    match selection:
        case None:
            return (), None
        case BoxSelection():
            sides = ((selection.x, selection.x_range), (selection.y, selection.y_range))
            return tuple(Filter(column=name, op="between", values=[*ends]) for name, ends in sides), None
        case RowSelection():
            return (Filter(column=selection.column, op="in", values=selection.values),), None
        case PolygonSelection():
            return (), selection


def _passes(column: pa.Array, wanted: Filter) -> pa.Array:
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
        column, values = _comparable(column, wanted.values, wanted)
        if len(values) != 2 or None in wanted.values:  # noqa: PLR2004 -- two ends
            raise _wrong(wanted, "needs two values for 'between'")
        low, high = sorted(values.to_pylist())
        ends = [pa.scalar(end, values.type) for end in (low, high)]
        return pc.and_(pc.greater_equal(column, ends[0]), pc.less_equal(column, ends[1]))
    if wanted.value is None:
        raise _wrong(wanted, "is compared with null: use 'is null' or 'is not null'")
    column, values = _comparable(column, [wanted.value], wanted)
    return _COMPARED[wanted.op](column, values[0])


def _text(column: pa.Array, wanted: Filter) -> pa.Array:
    if not pa.types.is_string(column.type) or not isinstance(wanted.value, str):
        raise _wrong(wanted, f"is no text, so '{wanted.op}' is not possible")
    search = pc.match_substring if wanted.op == "contains" else pc.starts_with
    return search(column, wanted.value, ignore_case=True)


def _comparable(column: pa.Array, values: list[Value], wanted: Filter) -> tuple[pa.Array, pa.Array]:
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


def _inside(batch: pa.RecordBatch, polygon: PolygonSelection) -> pa.Array:
    """Even-odd rule in the plane of two columns; nulls and NaN are outside."""
    x, y = (_plane(batch.column(name), name) for name in (polygon.x, polygon.y))
    corners = np.asarray(polygon.vertices, float)
    inside = np.zeros(len(x), bool)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crosses = (y1 > y) != (y2 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return pa.array(inside)


def _plane(column: pa.Array, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise UsageError(f"Column '{name}' holds no numbers, so a polygon cannot select in it.", parameter="filter")
    return np.asarray(pc.fill_null(column.cast(pa.float64(), safe=False), np.nan).to_numpy(zero_copy_only=False))


def _wrong(wanted: Filter, why: str) -> UsageError:
    return UsageError(f"Column '{wanted.column[:80]}' {why}.", parameter="filter")
