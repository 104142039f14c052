"""Polygons drawn by hand, in a plane: made simple, tested, and cut into pieces that conditions can be written for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Side:
    """The side of a piece: x at y is `x + (y - y0) * slope`."""

    x: float
    y0: float
    slope: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a polygon between two values of y (the upper one left out) and two sides."""

    low: float
    high: float
    left: Side
    right: Side

    def holds(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points lie in it, shape of `x`."""
        left, right = (side.x + (y - side.y0) * side.slope for side in (self.left, self.right))
        return (y >= self.low) & (y < self.high) & (x >= left) & (x <= right)


def simplified(vertices: Sequence[Point], most: int) -> tuple[Point, ...]:
    """A drawn line as a polygon that does not cross itself, of at most so many vertices.

    Loops where the line crosses itself are left out, the smaller part each time: mostly where its ends meet. Then those
    vertices go first whose triangle with their neighbours is smallest (M. Visvalingam and J. D. Whyatt, The
    Cartographic Journal 30 (1993) 46), and rarely more, when that makes a crossing.
    """
    points = _untangled(_thinned(list(dict.fromkeys(vertices)), 4 * most))
    while len(points) > most:
        points = _untangled(_thinned(points, most))
    return tuple(points)


def area(vertices: Sequence[Point]) -> float:
    """Area, positive when the vertices run counter-clockwise."""
    x, y = np.asarray(vertices, dtype=np.float64).reshape(-1, 2).T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def inside(x: NDArray[np.float64], y: NDArray[np.float64], vertices: Sequence[Point]) -> NDArray[np.bool_]:
    """Which points lie in a polygon, by the even-odd rule; NaN never does. Shape of `x`."""
    corners = np.asarray(vertices, dtype=np.float64)
    (low_x, low_y), (high_x, high_y) = corners.min(axis=0), corners.max(axis=0)
    near = np.flatnonzero((x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y))
    close_x, close_y = x[near], y[near]
    odd = np.zeros(len(near), dtype=bool)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        odd ^= ((y1 > close_y) != (y2 > close_y)) & (close_x < x1 + (close_y - y1) * ((x2 - x1) / (y2 - y1)))
    found = np.zeros(len(x), dtype=bool)
    found[near] = odd
    return found


def pieces(vertices: Sequence[Point]) -> tuple[Piece, ...]:
    """A polygon that does not cross itself, cut at the y of each vertex into pieces with two straight sides."""
    edges = [(a, b) if a[1] < b[1] else (b, a) for a, b in _edges(vertices) if a[1] != b[1]]
    found = []
    for low, high in pairwise(sorted({y for _, y in vertices})):
        middle = (low + high) / 2
        sides = [_side(a, b) for a, b in edges if a[1] <= low and b[1] >= high]
        sides.sort(key=lambda side: side.x + (middle - side.y0) * side.slope)
        found += [Piece(low, high, left, right) for left, right in zip(sides[::2], sides[1::2], strict=True)]
    return tuple(found)


def _side(start: Point, end: Point) -> Side:
    return Side(start[0], start[1], (end[0] - start[0]) / (end[1] - start[1]))


def _edges(vertices: Sequence[Point]) -> list[tuple[Point, Point]]:
    return list(zip(vertices, (*vertices[1:], vertices[0]), strict=True))


def _thinned(points: list[Point], most: int) -> list[Point]:
    kept = list(points)
    while len(kept) > most:
        at = np.asarray(kept)
        before, after = np.roll(at, 1, axis=0) - at, np.roll(at, -1, axis=0) - at
        triangles = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
        del kept[int(np.argmin(triangles))]
    return kept


def _untangled(points: list[Point]) -> list[Point]:
    """Without crossings: of the two loops that meet in one, the larger."""
    while (found := _crossing(points)) is not None:
        first, second, meeting = found
        loop = [meeting, *points[first + 1 : second + 1]]
        rest = [*points[: first + 1], meeting, *points[second + 1 :]]
        larger = loop if abs(area(loop)) > abs(area(rest)) else rest
        points = list(dict.fromkeys(larger))
    return points


def _crossing(points: list[Point]) -> tuple[int, int, Point] | None:
    """Numbers of the first two edges that cross within, and where."""
    start = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    step = np.roll(start, -1, axis=0) - start
    for first in range(len(points) - 2):
        last = len(points) - (first == 0)
        to, along = start[first + 2 : last] - start[first], step[first + 2 : last]
        across = _cross(step[first], along)
        with np.errstate(divide="ignore", invalid="ignore"):
            here, there = _cross(to, along) / across, _cross(to, step[first]) / across
        hits = np.flatnonzero((across != 0) & (here >= 0) & (here <= 1) & (there >= 0) & (there <= 1))
        if hits.size:
            x, y = start[first] + here[hits[0]] * step[first]
            return first, first + 2 + int(hits[0]), (float(x), float(y))
    return None


def _cross(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])
