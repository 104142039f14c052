"""Geometry of plans on Arrow arrays: what engines without it register as functions of their own.

Shapes are DALI arrays (DALI 1.1, section 3.3), ICRS degrees: a point [ra, dec], a circle [ra, dec, radius], a polygon
[ra1, dec1, ra2, dec2, ...]; a MOC is its text. A row whose shape is none (NULL, not a number, a declination beyond a
pole, a negative radius, fewer than three vertices, vertices that no hemisphere holds) has the answer NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pachon.core import moc, polygons
from pachon.core.errors import UsageError
from pachon.core.healpix import PromptIndex

_PAIRS_AT_ONCE = 200_000
"""Pairs of edges, or of edges and points, compared at once: bounds memory to some 50 MB."""
_SQUARE_DEG = float(np.degrees(1)) ** 2
_HALF_TURN_DEG = 180.0
_POLE_DEG = 90.0
_LEAST_NUMBERS = 6
"""Of a triangle."""
_index_of = PromptIndex()
_KINDS = ("point", "circle", "polygon", "moc")

_Floats = NDArray[np.float64]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Function:
    """One operation for one set of kinds of shape.

    Parameters
    ----------
    parameters, result
        Types as SQL names them.
    compute
        Takes and gives Arrow arrays, one value a row.
    """

    parameters: tuple[str, ...]
    result: str
    compute: Callable[..., pa.Array]


def function_name(operation: str, xtypes: tuple[str | None, ...]) -> str:
    """The key in `FUNCTIONS` of an operation on arguments with these DALI xtypes."""
    kinds = [xtype for xtype in xtypes if xtype in _KINDS]
    return "_".join(["sphere", *operation.split(), *kinds])


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Circles (points have radius 0; one vertex, the centre) or polygons, one a row.

    Parameters
    ----------
    vertices
        Unit vectors, shape (n, m, 3).
    radius
        Radians, shape (n,).
    valid
        Shape (n,).
    """

    vertices: polygons.Vectors
    radius: _Floats
    valid: _Mask

    def take(self, rows: slice) -> _Shapes:
        return _Shapes(self.vertices[rows], self.radius[rows], self.valid[rows])


def _numbers(lists: pa.Array | pa.ChunkedArray) -> tuple[_Floats, NDArray[np.int64], NDArray[np.int64]]:
    """All elements, the place of each row's first, and how many each row has; none for NULL."""
    whole = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    plain = whole.cast(pa.list_(pa.float64()))
    offsets = plain.offsets.to_numpy().astype(np.int64)
    counts = np.where(plain.is_null().to_numpy(zero_copy_only=False), 0, np.diff(offsets))
    return _floats(plain.values), offsets[:-1], counts


def _floats(array: pa.Array | pa.ChunkedArray) -> _Floats:
    """Numbers, NaN for NULL."""
    return np.asarray(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _rounds(size: int, lists: pa.Array) -> _Shapes:
    """Points (2 numbers) or circles (3)."""
    elements, starts, counts = _numbers(lists)
    table = np.full((len(starts), 3), [np.nan, np.nan, 0.0])
    rows = np.flatnonzero(counts == size)
    table[rows, :size] = elements[starts[rows, None] + np.arange(size)]
    ra, dec, radius = table.T
    valid = _on_sky(ra, dec) & (radius >= 0) & (radius <= _HALF_TURN_DEG)
    clean = np.where(valid[:, None], table, 0.0)
    vectors = polygons.unit_vectors(clean[:, 0], clean[:, 1])
    return _Shapes(vectors[:, None, :], np.radians(clean[:, 2]), valid)


def _polygons(lists: pa.Array) -> _Shapes:
    elements, starts, counts = _numbers(lists)
    valid = (counts >= _LEAST_NUMBERS) & (counts % 2 == 0)
    most = int(counts[valid].max(initial=_LEAST_NUMBERS)) // 2
    last = np.where(valid, counts // 2 - 1, 0)
    places = np.where(valid, starts, 0)[:, None] + 2 * np.minimum(np.arange(most), last[:, None])
    padded = np.append(elements, [np.nan, np.nan])
    ra, dec = padded[places], padded[places + 1]
    valid &= _on_sky(ra, dec).all(axis=1)
    clean = valid[:, None]
    vertices = polygons.unit_vectors(np.where(clean, ra, 0.0), np.where(clean, dec, 0.0))
    valid &= polygons.hemispheres(vertices)[1]
    return _Shapes(vertices, np.zeros(len(valid)), valid)


def _on_sky(ra: _Floats, dec: _Floats) -> _Mask:
    return np.asarray(np.isfinite(ra) & (np.abs(dec) <= _POLE_DEG))


_DECODE: Mapping[str, Callable[[pa.Array], _Shapes]] = {
    "point": partial(_rounds, 2),
    "circle": partial(_rounds, 3),
    "polygon": _polygons,
}


def _blocks(rows: int, pairs_per_row: int) -> Iterator[slice]:
    step = max(1, _PAIRS_AT_ONCE // pairs_per_row)
    for low in range(0, rows, step):
        yield slice(low, low + step)


def _relation(kinds: tuple[str, str], test: Callable[[_Shapes, _Shapes], _Mask]) -> Function:
    def compute(first: pa.Array, second: pa.Array) -> pa.Array:
        one, two = _DECODE[kinds[0]](first), _DECODE[kinds[1]](second)
        valid = one.valid & two.valid
        answer = np.zeros(len(valid), dtype=bool)
        for rows in _blocks(len(valid), one.vertices.shape[1] * two.vertices.shape[1]):
            answer[rows] = test(one.take(rows), two.take(rows))
        return pa.array(answer, mask=~valid)

    return Function(("DOUBLE[]", "DOUBLE[]"), "BOOLEAN", compute)


def _circle_in_circle(inner: _Shapes, outer: _Shapes) -> _Mask:
    away = polygons.angles(inner.vertices[:, 0], outer.vertices[:, 0])
    return (away + inner.radius <= outer.radius + polygons.TOUCH_RAD) | (outer.radius >= np.pi)


_TESTS: Mapping[tuple[str, str, str], Callable[[_Shapes, _Shapes], _Mask]] = {
    ("contains", "circle", "circle"): _circle_in_circle,
    ("contains", "circle", "polygon"): lambda inner, outer: polygons.circle_in_polygon(
        inner.vertices[:, 0], inner.radius, outer.vertices
    ),
    ("contains", "polygon", "circle"): lambda inner, outer: polygons.polygon_in_circle(
        inner.vertices, outer.vertices[:, 0], outer.radius
    ),
    ("contains", "polygon", "polygon"): lambda inner, outer: polygons.polygon_holds_polygon(
        outer.vertices, inner.vertices
    ),
    ("intersects", "circle", "polygon"): lambda first, second: polygons.circle_meets_polygon(
        first.vertices[:, 0], first.radius, second.vertices
    ),
    ("intersects", "polygon", "polygon"): lambda first, second: polygons.polygons_meet(first.vertices, second.vertices),
}
"""A point is a circle of radius 0."""


def arrays_of(numbers: Sequence[_Floats]) -> pa.Array:
    """Shapes from the columns of their numbers."""
    return _list_array(np.stack(numbers, axis=1), np.ones(len(numbers[0]), dtype=bool))


def _area(kind: str, lists: pa.Array) -> pa.Array:
    shapes = _DECODE[kind](lists)
    steradians = (
        np.abs(polygons.signed_areas(shapes.vertices))
        if kind == "polygon"
        else 4 * np.pi * np.sin(shapes.radius / 2) ** 2
    )
    return pa.array(steradians * _SQUARE_DEG, mask=~shapes.valid)


def _centroid(lists: pa.Array) -> pa.Array:
    shapes = _polygons(lists)
    ra, dec = polygons.positions_deg(polygons.centroids(shapes.vertices))
    return _list_array(np.stack([ra, dec], axis=1), shapes.valid)


def _box_corners(lon: pa.Array, lat: pa.Array, across: pa.Array, along: pa.Array) -> pa.Array:
    ra, dec, width, height = (_floats(each) for each in (lon, lat, across, along))
    valid = _on_sky(ra, dec) & (width > 0) & (width < _HALF_TURN_DEG) & (height > 0) & (height < _HALF_TURN_DEG)
    clean = (np.where(valid, each, 1.0) for each in (ra, dec, width, height))
    corners = polygons.positions_deg(polygons.box_vertices(*clean))
    return _list_array(np.stack(corners, axis=2).reshape(len(valid), 8), valid)


def _list_array(rows: _Floats, valid: _Mask) -> pa.Array:
    offsets = np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.ravel()), mask=pa.array(~valid))


def _covered(ra: pa.Array, dec: pa.Array, texts: pa.Array) -> pa.Array:
    lon, lat = _floats(ra), _floats(dec)
    answer, valid = np.zeros(len(lon), dtype=bool), _on_sky(lon, lat)
    names = np.asarray(texts.to_numpy(zero_copy_only=False) if isinstance(texts, pa.Array) else texts.to_numpy())
    for name in set(names.tolist()):
        same = names == name
        ranges = None if name is None else _ranges(name)
        if ranges is None:
            valid &= ~same
            continue
        rows = np.flatnonzero(same & valid)
        answer[rows] = moc.holds(ranges, _index_of(lon[rows], lat[rows]))
    return pa.array(answer, mask=~valid)


def _moc_area(texts: pa.Array) -> pa.Array:
    known = (_ranges(text) if text is not None else None for text in texts.to_pylist())
    return pa.array([None if each is None else moc.area_deg2(each) for each in known], pa.float64())


@lru_cache(maxsize=256)
def _ranges(text: str) -> moc.Ranges | None:
    try:
        return moc.parse(text)
    except UsageError:
        return None


def _with_points(tests: Mapping[tuple[str, str, str], Any]) -> Iterator[tuple[tuple[str, str, str], Any]]:
    for (operation, first, second), test in tests.items():
        for one in ("point", "circle") if first == "circle" else (first,):
            for two in ("point", "circle") if second == "circle" else (second,):
                yield (operation, one, two), test


FUNCTIONS: Mapping[str, Function] = {
    **{
        function_name(operation, (first, second)): _relation((first, second), test)
        for (operation, first, second), test in _with_points(_TESTS)
    },
    "sphere_area_circle": Function(("DOUBLE[]",), "DOUBLE", partial(_area, "circle")),
    "sphere_area_polygon": Function(("DOUBLE[]",), "DOUBLE", partial(_area, "polygon")),
    "sphere_area_moc": Function(("VARCHAR",), "DOUBLE", _moc_area),
    "sphere_centroid_polygon": Function(("DOUBLE[]",), "DOUBLE[]", _centroid),
    "sphere_box_corners": Function(("DOUBLE",) * 4, "DOUBLE[]", _box_corners),
    "sphere_covered_by_moc": Function(("DOUBLE", "DOUBLE", "VARCHAR"), "BOOLEAN", _covered),
}
