"""Compute: pure functions from what was collected to what is drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.errors import UsageError
from pachon.core.row_filter import passes
from pachon.core.sky import Cone
from pachon.portal.viewed import names_in, quoted
from pachon_client import View as ViewState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pachon.portal.projection import View
    from pachon_client import Column, Result, Table

MAP_QUERY_MARK = "-- Portal map"
_SAFE_INTEGER = 2**53
_OPEN = (-math.inf, math.inf)
_FLOAT_DIGITS = 5
_POSITION = re.compile(r"line (\d+), column (\d+)")
_BINS = 48
_LONGEST_WORDS = 70
_CONE = re.compile(
    r"SELECT \* FROM ([\w.]+) WHERE 1 = CONTAINS\(POINT\(\w+, \w+\), CIRCLE\(([-+\d.e]+), ([-+\d.e]+), ([-+\d.e]+)\)\)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Axis:
    """A quantity that can be plotted: one column, or the difference of two."""

    label: str
    column: str
    minus: str | None = None
    unit: str | None = None

    @property
    def title(self) -> str:
        """Label with unit."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    @property
    def expression(self) -> str:
        """As ADQL writes it."""
        return " - ".join(quoted(name) for name in (self.column, self.minus) if name is not None)


def magnitude_axes(columns: Iterable[Column]) -> tuple[Axis, ...]:
    """Columns that hold magnitudes, by UCD `phot.mag`."""
    return tuple(
        Axis(column.name, column.name, unit=column.unit) for column in columns if _has_word(column, "phot.mag")
    )


def colour_axes(columns: Sequence[Column]) -> tuple[Axis, ...]:
    """Columns that hold colours, by UCD `phot.color`, then differences of neighbouring magnitudes."""
    listed = [Axis(c.name, c.name, unit=c.unit) for c in columns if _has_word(c, "phot.color")]
    magnitudes = magnitude_axes(columns)
    pairs = [
        Axis(f"{blue.column} \N{MINUS SIGN} {red.column}", blue.column, red.column, "mag")
        for blue, red in pairwise(magnitudes)
    ]
    return (*listed, *pairs)


def axis_of(expression: str, columns: Iterable[Column]) -> Axis | None:
    """The quantity that an expression of a view state means; None if it is none of these columns."""
    names = names_in(expression)
    known = {column.name: column for column in columns}
    if not names or not all(name in known for name in names):
        return None
    label = " \N{MINUS SIGN} ".join(names)
    return Axis(label, names[0], names[1] if len(names) > 1 else None, known[names[0]].unit)


def position_columns(columns: Iterable[Column]) -> tuple[str, str] | None:
    """Names of the columns of the principal position, by UCD, else of plain `ra` and `dec`."""
    columns = tuple(columns)
    ra = _first(columns, "pos.eq.ra", "ra")
    dec = _first(columns, "pos.eq.dec", "dec")
    return (ra, dec) if ra and dec else None


def values_of(result: Result, axis: Axis, *, among: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """The values of an axis, shape (rows,), NaN where unknown and in rows that are not `among` those wanted."""
    values = _floats(result, axis.column)
    return _only(values if axis.minus is None else values - _floats(result, axis.minus), among)


def positions_of(
    result: Result, *, among: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Positions of the rows (ICRS degrees, NaN where unknown or not `among`); None where the result has none."""
    names = position_columns(result.columns)
    if names is None:
        return None
    return _only(_floats(result, names[0]), among), _only(_floats(result, names[1]), among)


def rows_passing(result: Result, filters: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_] | None:
    """Which rows pass all filters of a view state, shape (rows,); None, for all rows, where there are none.

    Raises
    ------
    UsageError
        If a column is not there, or a filter does not fit it.
    """
    if not filters:
        return None
    wanted = ViewState({"filters": filters}).filters
    for each in wanted:
        if each.column not in result.table.column_names:
            raise UsageError(f"The result has no column '{each.column[:80]}'.", parameter="filter")
    mask = np.ones(len(result), dtype=bool)
    for each in wanted:
        column = result.table.column(each.column)
        for first, chunk in zip(_firsts(column), column.chunks, strict=True):
            mask[first : first + len(chunk)] &= np.asarray(passes(chunk, each).fill_null(False))  # noqa: FBT003 -- pyarrow's own signature
    return mask


def both(rows: NDArray[np.bool_] | None, kept: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Those of the rows that are kept; `rows` itself if all of them are, or if it is None."""
    if rows is None or kept is None:
        return rows
    found = rows & kept
    return rows if np.array_equal(found, rows) else found


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bin, of all rows and of the selected ones."""

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    selected: NDArray[np.int64]


def histogram(values: NDArray[np.float64], selected: NDArray[np.bool_] | None) -> Histogram:
    """Bins of one width over all finite values; where nothing is selected, `selected` is all zero."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    counts, _ = np.histogram(finite, bins=edges)
    chosen = values[selected & np.isfinite(values)] if selected is not None else np.empty(0)
    return Histogram(edges, counts, np.histogram(chosen, bins=edges)[0])


def in_box(
    x: NDArray[np.float64], y: NDArray[np.float64], *, x_range: tuple[float, float], y_range: tuple[float, float]
) -> NDArray[np.bool_]:
    """Which points lie in a box; points that are not finite never do."""
    return (x >= min(x_range)) & (x <= max(x_range)) & (y >= min(y_range)) & (y <= max(y_range))


def in_ranges(values: Sequence[NDArray[np.float64]], ranges: Sequence[tuple[float, float]]) -> NDArray[np.bool_] | None:
    """Which rows lie in all ranges that have a bound; None, for all rows, where none has."""
    bounded = [(v, low, high) for v, (low, high) in zip(values, ranges, strict=True) if (low, high) != _OPEN]
    if not bounded:
        return None
    return np.asarray(np.logical_and.reduce([(v >= low) & (v <= high) for v, low, high in bounded]))


def extent(values: NDArray[np.float64], *, margin: float = 0.04) -> tuple[float, float]:
    """A range that shows all but the wildest values, with a margin."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.quantile(finite, (0.001, 0.999))
    room = max((high - low) * margin, 1e-6)
    return float(low - room), float(high + room)


def rasterize(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    size: tuple[int, int],
) -> NDArray[np.uint8]:
    """Points per pixel as palette indices: 0 for none, then 255 steps of the logarithm; shape (height, width)."""
    import datashader  # noqa: PLC0415 -- brings dask and xarray: seconds that the first page need not wait for

    canvas = datashader.Canvas(plot_width=size[0], plot_height=size[1], x_range=x_range, y_range=y_range)
    counts = canvas.points(pd.DataFrame({"x": x, "y": y}), "x", "y", agg=datashader.count()).to_numpy()
    top = math.log1p(max(1, int(counts.max(initial=0))))
    return np.asarray(np.ceil(255 * np.log1p(counts) / top), dtype=np.uint8)


def sortable_columns(result: Result) -> list[str]:
    """Names of the columns whose values have an order."""
    return [field.name for field in result.table.schema if not pa.types.is_nested(field.type)]


def row_order(
    result: Result, selected: NDArray[np.bool_] | None, *, by: str | None, falling: bool
) -> NDArray[np.int64] | None:
    """Numbers of the rows to list, those selected or all, in the order of a column; None for all as they came."""
    if by is None:
        return None if selected is None else np.flatnonzero(selected)
    keys = [(by, "descending" if falling else "ascending")]
    order = np.asarray(pc.sort_indices(result.table.select([by]), sort_keys=keys), dtype=np.int64)
    return order if selected is None else order[selected[order]]


def table_page(result: Result, order: NDArray[np.int64] | None, *, first: int, count: int) -> pd.DataFrame:
    """Some rows of `row_order`, counted from 0, for the page. Integers too long for a browser become text."""
    table = result.table
    if order is None:
        rows = table.slice(first, count)
    else:  # row by row: Arrow's own `take` joins all chunks of a column first
        rows = pa.concat_tables(
            [table.slice(0, 0), *(table.slice(int(row), 1) for row in order[first : first + count])]
        )
    columns = {name: _shown(rows.column(name), is_long=_is_long(table.column(name))) for name in table.column_names}
    frame = pd.DataFrame(columns)
    frame.index = pd.RangeIndex(first + 1, first + rows.num_rows + 1, name="row")  # the constructor would align rows
    return frame


def cone_query(table: Table, cone: Cone) -> str:
    """ADQL for all columns of the rows within a cone."""
    return f"SELECT *\nFROM {table.name}\nWHERE {_inside(table, cone)}"


def query_words(adql: str) -> str:
    """A query in a few words: a plain cone by its position (ICRS), radius and table, any other by its beginning."""
    text = " ".join(adql.split())
    cone = _CONE.fullmatch(text)
    if cone is None:
        return text if len(text) <= _LONGEST_WORDS else text[:_LONGEST_WORDS] + "\N{HORIZONTAL ELLIPSIS}"
    ra, dec, radius = (float(number) for number in cone.groups()[1:])
    return f"{radius:g}\N{DEGREE SIGN} around RA {ra:g}\N{DEGREE SIGN}, Dec {_signed(dec)}\N{DEGREE SIGN} in {cone[1]}"


def _signed(value: float) -> str:
    return f"{value:+g}".replace("-", "\N{MINUS SIGN}")


def points_query(table: Table, cone: Cone) -> str:
    """ADQL for what the map draws of single rows within a cone."""
    magnitudes = magnitude_axes(table.columns)
    wanted = dict.fromkeys(
        name
        for name in (table.id_column, table.ra_column, table.dec_column, *(axis.column for axis in magnitudes[:1]))
        if name
    )
    return f"{MAP_QUERY_MARK}\nSELECT {', '.join(wanted)}\nFROM {table.name}\nWHERE {_inside(table, cone)}"


def cone_around(view: View, *, margin: float) -> Cone | None:
    """A cone that covers a view with a margin; None if its centre is off the sky."""
    centre = view.centre
    if centre is None:
        return None
    diagonal = math.degrees(view.scale * math.hypot(view.width, view.height)) / 2
    return Cone(*centre, min(180.0, diagonal * margin))


def parse_number(text: str, *, name: str, low: float, high: float) -> float:
    """A number that a person typed.

    Raises
    ------
    UsageError
        Naming the field and what it may be.
    """
    try:
        value = float(text.strip().replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise UsageError(f"{name} must be a number from {low:g} to {high:g}, not '{text.strip()}'.", parameter=name)
    return value


def parse_range(low: str, high: str, *, name: str) -> tuple[float, float]:
    """A range that a person typed, the smaller bound first; an empty side is open.

    Raises
    ------
    UsageError
        Naming the quantity and the side that is no number.
    """
    typed = []
    for text, side, default in ((low, "from", _OPEN[0]), (high, "to", _OPEN[1])):
        try:
            value = float(text.strip().replace("\N{MINUS SIGN}", "-")) if text.strip() else default
        except ValueError:
            value = math.nan
        if math.isnan(value):
            message = f"{name} {side} must be a number, or empty for no bound, not '{text.strip()}'."
            raise UsageError(message, parameter=name)
        typed.append(value)
    return min(typed), max(typed)


def error_place(message: str) -> tuple[int, int] | None:
    """Line and column (from 1) that a message about ADQL points at."""
    found = _POSITION.search(message)
    return (int(found[1]), int(found[2])) if found else None


def _inside(table: Table, cone: Cone) -> str:
    circle = f"CIRCLE({cone.ra_deg:.6f}, {cone.dec_deg:.6f}, {cone.radius_deg:.6g})"
    return f"1 = CONTAINS(POINT({table.ra_column}, {table.dec_column}), {circle})"


def _has_word(column: Column, word: str) -> bool:
    words = (column.ucd or "").lower().split(";")
    return any(given == word or given.startswith(f"{word};") for given in words) and "stat.error" not in words


def _first(columns: Iterable[Column], word: str, name: str) -> str | None:
    columns = tuple(columns)
    by_ucd = [column.name for column in columns if _has_word(column, word)]
    main = [column.name for column in columns if _has_word(column, word) and "meta.main" in (column.ucd or "")]
    by_name = [column.name for column in columns if column.name.lower() == name]
    return next(iter((*main, *by_ucd, *by_name)), None)


def _only(values: NDArray[np.float64], among: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    return values if among is None else np.where(among, values, np.nan)


def _firsts(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Place of the first row of each chunk."""
    return np.cumsum([0, *(len(chunk) for chunk in column.chunks)], dtype=np.int64)[:-1]


def _floats(result: Result, name: str) -> NDArray[np.float64]:
    values = result[name]
    return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))


def _is_long(column: pa.ChunkedArray) -> bool:
    if not pa.types.is_int64(column.type):
        return False
    ends = pc.min_max(column).as_py().values()
    return any(abs(end) > _SAFE_INTEGER for end in ends if end is not None)


def _shown(column: pa.ChunkedArray, *, is_long: bool) -> Any:  # noqa: ANN401 -- whatever pandas makes of it
    if pa.types.is_int64(column.type):
        values = column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        return values.astype("string") if is_long else values
    if pa.types.is_float32(column.type):
        return column.to_pandas().astype("float64").round(_FLOAT_DIGITS)
    if pa.types.is_timestamp(column.type) or pa.types.is_nested(column.type):
        return column.to_pandas().astype("string")
    return column.to_pandas()
