"""Shapes that select rows: each tells which rows lie in it, and says so as an ADQL condition on columns of the result.

Rows without a number where the shape looks are outside, as NULL is neither true nor false in ADQL.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon_client.browsing.polygons import Piece, Point, Side, inside, pieces
from pachon_client.browsing.rows import Axis, Rows, quoted
from pachon_client.errors import RequestError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PICKED = 5_000
"""Rows picked one by one that a view state may name."""
MOST_CONDITION = 20_000
"""Characters of a condition that a view state may have."""

_MIDDLE_STEPS = 400

Range = tuple[float, float]


class Shape(ABC):
    """Something that rows lie in."""

    @abstractmethod
    def mask(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows lie in it, shape (rows,)."""

    @abstractmethod
    def adql(self) -> str:
        """The condition on columns of the result."""

    def document(self) -> dict[str, Any]:
        """The selection of a view state, by the plainest kind there is for it."""
        condition = self.adql()
        if len(condition) > MOST_CONDITION:
            raise RequestError(
                f"The selection takes {len(condition):,} characters of ADQL; a saved view holds {MOST_CONDITION:,}: "
                "select with fewer shapes."
            )
        return {"kind": "adql", "condition": condition}


@dataclass(frozen=True, slots=True)
class Box(Shape):
    """Rows whose two quantities are in ranges, ends included."""

    x: Axis
    y: Axis
    x_range: Range
    y_range: Range

    def mask(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows lie in it, shape (rows,)."""
        x, y = rows.values(self.x), rows.values(self.y)
        (left, right), (low, high) = self.x_range, self.y_range
        return np.asarray((x >= left) & (x <= right) & (y >= low) & (y <= high))

    def adql(self) -> str:
        """The condition on columns of the result."""
        return f"{_between(self.x, self.x_range)} AND {_between(self.y, self.y_range)}"

    def document(self) -> dict[str, Any]:
        """The selection of a view state: a `box`, if both quantities are columns."""
        if self.x.minus is None and self.y.minus is None:
            ranges = {"x_range": list(self.x_range), "y_range": list(self.y_range)}
            return {"kind": "box", "x": self.x.column, "y": self.y.column, **ranges}
        return Shape.document(self)


@dataclass(frozen=True, slots=True)
class Lasso(Shape):
    """Rows inside a polygon, which does not cross itself, in the plane of two quantities."""

    x: Axis
    y: Axis
    vertices: tuple[Point, ...]

    def mask(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows lie in it, shape (rows,)."""
        x, y = rows.values(self.x), rows.values(self.y)
        corners = np.asarray(self.vertices)
        (left, low), (right, high) = corners.min(axis=0), corners.max(axis=0)
        near = np.flatnonzero((x >= left) & (x <= right) & (y >= low) & (y <= high))
        found = np.zeros(len(rows), dtype=bool)
        for piece in pieces(self.vertices):
            found[near] |= piece.holds(x[near], y[near])
        return found

    def adql(self) -> str:
        """The condition on columns of the result."""
        return _either([self._piece(piece) for piece in pieces(self.vertices)])

    def document(self) -> dict[str, Any]:
        """The selection of a view state: a `polygon`, if both quantities are columns."""
        if self.x.minus is None and self.y.minus is None:
            vertices = [list(vertex) for vertex in self.vertices]
            return {"kind": "polygon", "x": self.x.column, "y": self.y.column, "vertices": vertices}
        return Shape.document(self)

    def _piece(self, piece: Piece) -> str:
        x, y = self.x.expression, self.y.expression
        sides = (f"{x} >= {self._side(piece.left)}", f"{x} <= {self._side(piece.right)}")
        return " AND ".join((f"{y} >= {piece.low!r}", f"{y} < {piece.high!r}", *sides))

    def _side(self, side: Side) -> str:
        return f"{side.x!r} + ({self.y.expression} - ({side.y0!r})) * ({side.slope!r})"


@dataclass(frozen=True, slots=True)
class SkyPolygon(Shape):
    """Rows inside a polygon of great circles (ICRS), which does not cross itself and is within a hemisphere.

    Parameters
    ----------
    ra, dec
        Columns of the position, degrees.
    vertices
        Right ascension and declination of each vertex, degrees.
    """

    ra: Axis
    dec: Axis
    vertices: tuple[Point, ...]

    def mask(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows lie in it, shape (rows,).

        Counted in the tangent plane at the middle of the vertices, where great circles are straight lines.
        """
        towards = _unit(*np.radians(np.asarray(self.vertices, dtype=np.float64)).T)
        east, north, up = _frame(_middle(towards))
        corners = [(float(v @ east / (v @ up)), float(v @ north / (v @ up))) for v in towards]
        ra, dec = rows.values(self.ra), rows.values(self.dec)
        points = _unit(np.radians(ra), np.radians(dec))
        height = points @ up
        near = np.flatnonzero(height > min(v @ up for v in towards) - 1e-9)
        found = np.zeros(len(rows), dtype=bool)
        at = points[near]
        found[near] = inside(at @ east / height[near], at @ north / height[near], corners)
        return found

    def adql(self) -> str:
        """The condition on columns of the result (ADQL 2.1, section 4.2.9)."""
        corners = ", ".join(f"{ra!r}, {dec!r}" for ra, dec in self.vertices)
        point = f"POINT({self.ra.expression}, {self.dec.expression})"
        return f"1 = CONTAINS({point}, POLYGON({corners}))"


@dataclass(frozen=True, slots=True)
class Picked(Shape):
    """Rows picked one by one, or all but those.

    Parameters
    ----------
    numbers
        Which rows, from 0.
    column
        The column that tells rows apart; None if there is none.
    values
        Its values for those rows.
    excluded
        Whether all other rows are meant.
    """

    numbers: tuple[int, ...]
    column: str | None = None
    values: tuple[int | str, ...] = ()
    excluded: bool = False

    @classmethod
    def of(cls, rows: Rows, numbers: frozenset[int], *, excluded: bool = False) -> Picked:
        """Rows by their numbers, from 0."""
        ordered = tuple(sorted(numbers))
        if len(ordered) > MOST_PICKED:
            raise RequestError(f"{len(ordered):,} rows are picked one by one; at most {MOST_PICKED:,} are allowed.")
        if rows.identifier is None:
            return cls(ordered, excluded=excluded)
        column = rows.result.table.column(rows.identifier)
        values = tuple(column[number].as_py() for number in ordered)
        return cls(ordered, rows.identifier, values, excluded=excluded)

    def mask(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows lie in it, shape (rows,)."""
        found = np.full(len(rows), self.excluded)
        found[list(self.numbers)] = not self.excluded
        return found

    def adql(self) -> str:
        """The condition on columns of the result."""
        listed = ", ".join(_literal(value) for value in self.values)
        return f"{quoted(self._identifier())} {'NOT ' if self.excluded else ''}IN ({listed})"

    def document(self) -> dict[str, Any]:
        """The selection of a view state: `rows`, whose long integers are texts."""
        if self.excluded:
            return Shape.document(self)
        return {"kind": "rows", "column": self._identifier(), "values": [str(value) for value in self.values]}

    def _identifier(self) -> str:
        if self.column is None:
            raise RequestError(
                "Rows were picked one by one, and no column tells them apart: add an identifier to the query."
            )
        return self.column


@dataclass(frozen=True, slots=True)
class Judged(Shape):
    """Rows for which the platform says that a condition holds.

    Parameters
    ----------
    condition
        ADQL on columns of the result.
    numbers
        Those rows, from 0.
    """

    condition: str
    numbers: frozenset[int]

    def mask(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows lie in it, shape (rows,)."""
        found = np.zeros(len(rows), dtype=bool)
        found[list(self.numbers)] = True
        return found

    def adql(self) -> str:
        """The condition on columns of the result."""
        return self.condition


@dataclass(frozen=True, slots=True)
class AnyOf(Shape):
    """Rows that lie in at least one of some shapes."""

    parts: tuple[Shape, ...]

    def mask(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows lie in it, shape (rows,)."""
        return reduce(np.logical_or, (part.mask(rows) for part in self.parts))

    def adql(self) -> str:
        """The condition on columns of the result."""
        return _either([part.adql() for part in self.parts])


@dataclass(frozen=True, slots=True)
class AllOf(Shape):
    """Rows that lie in each of some shapes."""

    parts: tuple[Shape, ...]

    def mask(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows lie in it, shape (rows,)."""
        return reduce(np.logical_and, (part.mask(rows) for part in self.parts))

    def adql(self) -> str:
        """The condition on columns of the result."""
        return " AND ".join(f"({part.adql()})" for part in self.parts)


def shape_of(document: Mapping[str, Any], rows: Rows) -> Shape | None:
    """The shape of a view state's selection; None for conditions in ADQL, which the platform judges.

    Raises
    ------
    RequestError
        It names a column that is not there or holds no numbers.
    """
    match document:
        case {"kind": "box", "x": x, "y": y, "x_range": x_range, "y_range": y_range}:
            (left, right), (low, high) = sorted(x_range), sorted(y_range)
            return Box(rows.axis(quoted(x)), rows.axis(quoted(y)), (left, right), (low, high))
        case {"kind": "polygon", "x": x, "y": y, "vertices": vertices}:
            return Lasso(rows.axis(quoted(x)), rows.axis(quoted(y)), tuple((a, b) for a, b in vertices))
        case {"kind": "rows", "column": column, "values": values}:
            return _picked(rows, column, values)
        case _:
            return None


def _picked(rows: Rows, column: str, values: list[Any]) -> Picked:
    if column not in rows.result.table.column_names:
        raise RequestError(f"The rows have no column '{column}', by which the saved view picks some.")
    texts = rows.result.table.column(column).cast(pa.string())
    found = pc.is_in(texts, value_set=pa.array([str(value) for value in values if value is not None], pa.string()))
    return Picked.of(rows, frozenset(int(number) for number in np.flatnonzero(found.to_numpy())))


def _between(axis: Axis, ends: Range) -> str:
    return f"{axis.expression} BETWEEN {ends[0]!r} AND {ends[1]!r}"


def _either(conditions: list[str]) -> str:
    if len(conditions) == 1:
        return conditions[0]
    return " OR ".join(f"({condition})" for condition in conditions)


def _literal(value: int | str) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _unit(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors of directions in radians, shape (n, 3)."""
    return np.stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), axis=-1)


def _middle(towards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Direction about which the smallest circle round some directions lies, nearly.

    Source: M. Badoiu and K. L. Clarkson, SODA 2003, 801: step to the farthest, a little less each time.
    """
    middle = towards[0]
    for step in range(1, _MIDDLE_STEPS):
        middle = middle + (towards[int(np.argmin(towards @ middle))] - middle) / (step + 1)
        middle = middle / np.linalg.norm(middle)
    return np.asarray(middle)


def _frame(up: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Directions to the east and north at a direction, and that direction."""
    east = np.array([-up[1], up[0], 0.0])
    length = float(np.linalg.norm(east))
    east = east / length if length > 0 else np.array([0.0, 1.0, 0.0])
    return east, np.cross(up, east), up
