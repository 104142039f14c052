"""What a person did with a result, as the view state of a saved query tells it, and back; nothing is asked here.

The platform's JSON Schema of view states (`GET /api/queries/schema`) says what each member means.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pachon_client import Result

MOST_PICKED = 5_000
"""Rows picked one by one that a view state may name."""

_COLOUR, _BARS = "colour-magnitude", "histogram"
_SHOWN_HERE = frozenset({"schema_version", "filters", "sort", "selection", "plots", "sky"})
_SCHEMA_VERSION = "1.0"
_MOLLWEIDE = "MOL"
_NAME = r'(?:[A-Za-z_]\w*|"(?:[^"]|"")+")'
_NUMBER = r"([-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?)"
_TERM = rf"({_NAME}(?: - {_NAME})?) (?:BETWEEN {_NUMBER} AND {_NUMBER}|>= {_NUMBER}|<= {_NUMBER})"
_TERMS = re.compile(rf"{_TERM}(?: AND {_TERM})*", re.ASCII)
_ONE_TERM = re.compile(_TERM, re.ASCII)
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Bound:
    """Rows whose value of a quantity (ADQL: a column, or one minus another) is in a range, ends included."""

    expression: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Picked:
    """Rows told apart by the values of a column, as text."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColourPlot:
    """Axes of the colour-magnitude plot, and what of them is in sight; `y_range` is from top to bottom."""

    x: str
    y: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the map looks: ICRS centre and field, degrees."""

    ra_deg: float
    dec_deg: float
    field_deg: float


@dataclass(frozen=True, slots=True)
class Viewed:
    """What a person did with a result.

    Parameters
    ----------
    filters
        Filters of the view state, all of which a row passes.
    sort
        Column by which rows are listed, and whether the largest come first.
    bounds, picked
        How rows were selected: those inside all bounds, or those picked.
    colour, bars
        The plots; of the histogram the quantity.
    rest
        Members of the view state that this page does not show; they are kept as they came.
    """

    filters: tuple[Mapping[str, Any], ...] = ()
    sort: tuple[str, bool] | None = None
    bounds: tuple[Bound, ...] = ()
    picked: Picked | None = None
    colour: ColourPlot | None = None
    bars: str | None = None
    place: Place | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_chosen_elsewhere(self) -> bool:
        """Whether a selection that this page has no fields for says which rows are shown."""
        return bool(self.rest.get("selection"))

    def document(self) -> dict[str, Any]:
        """The view state."""
        plots = [*self.rest.get("plots", ())]
        if self.bars is not None:
            plots.insert(0, {"id": _BARS, "kind": "histogram", "x": {"expression": self.bars}})
        if self.colour is not None:
            plots.insert(0, _plot(self.colour))
        told: dict[str, Any] = {"schema_version": _SCHEMA_VERSION, **self.rest}
        if self.filters:
            told["filters"] = [dict(each) for each in self.filters]
        if self.sort is not None:
            told["sort"] = [{"column": self.sort[0], "descending": self.sort[1]}]
        selection = _selection(self)
        if selection is not None:
            told["selection"] = selection
        if plots:
            told["plots"] = plots
        if self.place is not None:
            place = self.place
            told["sky"] = {"ra_deg": place.ra_deg, "dec_deg": place.dec_deg, "fov_deg": place.field_deg}
            told["sky"]["projection"] = _MOLLWEIDE
        return told


def read_view(document: Mapping[str, Any]) -> tuple[Viewed, tuple[str, ...]]:
    """What a view state says, and in words what of it this page does not show."""
    plots = {plot["id"]: plot for plot in document.get("plots", ()) if plot["id"] in {_COLOUR, _BARS}}
    others = [plot for plot in document.get("plots", ()) if plot["id"] not in plots]
    rest = {name: value for name, value in document.items() if name not in _SHOWN_HERE}
    rest |= {"plots": others} if others else {}
    rest |= {"schema_version": document["schema_version"]} if _is_newer(document) else {}
    selection = document.get("selection") or {}
    bounds, picked = _bounds(selection), _picked(selection)
    if selection and not bounds and picked is None:
        rest["selection"] = selection
    sort, sky = document.get("sort") or [], document.get("sky")
    viewed = Viewed(
        filters=tuple(document.get("filters") or ()),
        sort=(sort[0]["column"], bool(sort[0].get("descending", False))) if len(sort) == 1 else None,
        bounds=bounds,
        picked=picked,
        colour=_colour(plots.get(_COLOUR)),
        bars=plots[_BARS]["x"]["expression"] if plots.get(_BARS, {}).get("x") else None,
        place=Place(sky["ra_deg"], sky["dec_deg"], sky["fov_deg"]) if sky else None,
        rest=rest | ({"sort": sort} if len(sort) > 1 else {}),
    )
    return viewed, _unshown(viewed.rest)


def quoted(name: str) -> str:
    """A column's name as ADQL writes it (ADQL 2.1, section 2.1.3)."""
    return name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def picked_rows(result: Result, selected: NDArray[np.bool_]) -> Picked | None:
    """The selected rows by their identifier; None if none has one, or they are too many to be named."""
    column = next((each.name for each in result.columns if "meta.id" in (each.ucd or "").lower().split(";")), None)
    if column is None or int(selected.sum()) > MOST_PICKED:
        return None
    names = result.table.column(column).filter(pa.array(selected)).cast(pa.string())
    return Picked(column, tuple(name for name in names.to_pylist() if name is not None))


def rows_picked(result: Result, picked: Picked) -> NDArray[np.bool_]:
    """Which rows those are, shape (rows,)."""
    names = result.table.column(picked.column).cast(pa.string())
    found = pc.is_in(names, value_set=pa.array(picked.values, pa.string()))
    return np.asarray(found.to_numpy(), dtype=bool)


def _plot(plot: ColourPlot) -> dict[str, Any]:
    (left, right), (top, bottom) = plot.x_range, plot.y_range
    x = {"expression": plot.x, "low": left, "high": right}
    y = {"expression": plot.y, "low": min(top, bottom), "high": max(top, bottom), "inverted": top < bottom}
    return {"id": _COLOUR, "kind": "scatter", "x": x, "y": y}


def _colour(plot: Mapping[str, Any] | None) -> ColourPlot | None:
    x, y = (plot.get("x"), plot.get("y")) if plot is not None else (None, None)
    if x is None or y is None:
        return None
    (left, right), (low, high) = ((axis.get("low"), axis.get("high")) for axis in (x, y))
    if left is None or right is None or low is None or high is None:
        return None
    y_range = (low, high) if y.get("inverted") else (high, low)
    return ColourPlot(x["expression"], y["expression"], (left, right), y_range)


def _selection(viewed: Viewed) -> dict[str, Any] | None:
    if viewed.picked is not None:
        return {"kind": "rows", "column": viewed.picked.column, "values": list(viewed.picked.values)}
    if not viewed.bounds:
        return None
    columns = [names_in(bound.expression) for bound in viewed.bounds]
    ends = [[bound.low, bound.high] for bound in viewed.bounds]
    if [len(names) for names in columns] == [1, 1] and np.isfinite(ends).all():
        return {"kind": "box", "x": columns[0][0], "y": columns[1][0], "x_range": ends[0], "y_range": ends[1]}
    return {"kind": "adql", "condition": " AND ".join(map(_term, viewed.bounds))}


def _term(bound: Bound) -> str:
    if math.isinf(bound.low):
        return f"{bound.expression} <= {bound.high!r}"
    if math.isinf(bound.high):
        return f"{bound.expression} >= {bound.low!r}"
    return f"{bound.expression} BETWEEN {bound.low!r} AND {bound.high!r}"


def _bounds(selection: Mapping[str, Any]) -> tuple[Bound, ...]:
    if selection.get("kind") == "box":
        ranges = sorted(selection["x_range"]), sorted(selection["y_range"])
        return tuple(Bound(quoted(selection[axis]), *ends) for axis, ends in zip("xy", ranges, strict=True))
    condition = selection.get("condition", "")
    if not _TERMS.fullmatch(condition):
        return ()
    return tuple(starmap(_bound, _ONE_TERM.findall(condition)))


def _bound(expression: str, *ends: str) -> Bound:
    low, high, least, most = ends
    return Bound(expression, float(low or least or -math.inf), float(high or most or math.inf))


def _picked(selection: Mapping[str, Any]) -> Picked | None:
    if selection.get("kind") != "rows":
        return None
    return Picked(selection["column"], tuple(str(value) for value in selection["values"] if value is not None))


def _unshown(rest: Mapping[str, Any]) -> tuple[str, ...]:
    words = {
        "columns": "the choice of columns",
        "image": "the image viewer",
        "plots": "further plots",
        "sort": "sorting by several columns",
    }
    return tuple(words[name] for name in sorted(words) if rest.get(name))


def _is_newer(document: Mapping[str, Any]) -> bool:
    return str(document.get("schema_version", _SCHEMA_VERSION)) != _SCHEMA_VERSION


def names_in(expression: str) -> Sequence[str]:
    """Names of the columns of an expression: one, or one and the one that is taken away; none if it is another."""
    if not re.fullmatch(rf"{_NAME}(?: - {_NAME})?", expression, re.ASCII):
        return ()
    return [_unquoted(name) for name in re.findall(_NAME, expression, re.ASCII)]


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
