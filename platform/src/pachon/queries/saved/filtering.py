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
from pachon.core.row_filter import passes
from pachon.queries.saved.view_state import (
    AdqlSelection,
    BoxSelection,
    Filter,
    PolygonSelection,
    RowSelection,
    ViewState,
)

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
        masks = [passes(batch.column(each.column), each) for each in self.filters]
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
