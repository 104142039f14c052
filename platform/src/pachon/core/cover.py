"""HEALPix cells that a region needs and cells that it fills, from the distance of their middles to its boundary."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pachon.core import moc
from pachon.core.healpix import SPATIAL_INDEX_ORDER, position_of
from pachon.core.polygons import Vectors, edge_distances, hemispheres, holds_points, unit_vectors
from pachon.core.sky import Cone

Depth = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""How far positions (ICRS degrees) are from the boundary of a region, radians; negative outside."""

_SLACK_RAD = 1e-11
_PAIRS_AT_ONCE = 200_000


@dataclass(frozen=True, slots=True)
class Cover:
    """Cells about a region, as ranges of order 29 indices.

    Parameters
    ----------
    outer
        Cells outside of which nothing of the region lies.
    inner
        Cells that the region fills.
    order
        Order of the smallest cells.
    """

    outer: moc.Ranges
    inner: moc.Ranges
    order: int


def cover(depth: Depth, *, order: int = SPATIAL_INDEX_ORDER, most_cells: int) -> Cover:
    """Divide the sky into ever smaller cells along a boundary, down to an order or until they are too many."""
    cells = np.arange(12, dtype=np.int64)
    outer: list[moc.Ranges] = []
    inner: list[moc.Ranges] = []
    level = 0
    while True:
        reach = _cell_radius_rad(level) + _SLACK_RAD
        found = depth(*position_of(cells, order=level))
        inner.append(_ranges(cells[found >= reach], level))
        cells = cells[(found >= -reach) & (found < reach)]
        if level == order or 4 * len(cells) > most_cells:
            break
        cells = (4 * cells[:, None] + np.arange(4)).ravel()
        level += 1
    outer = [*inner, _ranges(cells, level)]
    return Cover(moc.union(outer), moc.union(inner), level)


def _ranges(cells: NDArray[np.int64], order: int) -> moc.Ranges:
    shift = 2 * (SPATIAL_INDEX_ORDER - order)
    return np.stack([cells << shift, (cells + 1) << shift], axis=1)


def _cell_radius_rad(order: int) -> float:
    """Largest distance of a corner of a cell from its middle: where the polar caps begin (Gorski et al. 2005)."""
    size = 1.0 / (1 << order)
    middle_z, corner_z = 2 / 3, 1 - (1 - size) ** 2 / 3
    half_z = (math.acos(middle_z) - math.acos(corner_z)) / 2
    half_ra = math.pi * size / 8
    sines = math.sqrt((1 - middle_z**2) * (1 - corner_z**2))
    return 2 * math.asin(math.sqrt(math.sin(half_z) ** 2 + sines * math.sin(half_ra) ** 2))


def cone_depth(cone: Cone) -> Depth:
    """The distances of a circle."""
    return lambda ra_deg, dec_deg: np.radians(cone.radius_deg - cone.separation_deg(ra_deg, dec_deg))


def polygon_depth(vertices: Vectors) -> Depth:
    """The distances of a polygon whose vertices are unit vectors, shape (m, 3)."""
    polygon = vertices[None]
    centres = hemispheres(polygon)[0]
    step = max(1, _PAIRS_AT_ONCE // len(vertices))

    def depth(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
        points = unit_vectors(ra_deg, dec_deg)
        found = np.empty(len(points))
        for low in range(0, len(points), step):
            some = points[None, low : low + step]
            away = edge_distances(polygon, some)[0]
            found[low : low + step] = np.where(holds_points(polygon, centres, some)[0], away, -away)
        return found

    return depth
