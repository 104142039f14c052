"""Constant shapes of ADQL as regions of the sky: their cells, and the MOC of a given order."""

from __future__ import annotations

import numpy as np

from pachon.core import moc
from pachon.core.cover import Cover, Depth, cone_depth, cover, polygon_depth
from pachon.core.errors import UsageError
from pachon.core.healpix import SPATIAL_INDEX_ORDER, pixel_of
from pachon.core.polygons import box_vertices, unit_vectors
from pachon.core.sky import Cone

_EXTRA_ORDERS = 4
"""How much finer than a MOC its shape is looked at, so that hardly a cell is named that the shape does not touch."""
_MOST_CELLS = 60_000


def depth_of(kind: str, numbers: tuple[float, ...]) -> Depth:
    """The distances of a point, circle, box or polygon, whose numbers are degrees in the order ADQL writes them."""
    if kind == "point":
        return cone_depth(Cone(numbers[0], numbers[1], 0.0))
    if kind == "circle":
        return cone_depth(Cone(numbers[0], numbers[1], numbers[2]))
    values = np.array(numbers, dtype=np.float64)
    if kind == "box":
        return polygon_depth(box_vertices(*values[:, None])[0])
    return polygon_depth(unit_vectors(values[0::2], values[1::2]))


def fine_cover(kind: str, numbers: tuple[float, ...]) -> Cover:
    """Cells about a shape, small enough to compare it with a MOC."""
    return cover(depth_of(kind, numbers), most_cells=_MOST_CELLS)


def coverage(kind: str, numbers: tuple[float, ...], *, order: int) -> moc.Ranges:
    """The cells of an order that a shape touches.

    Raises
    ------
    UsageError
        If they are too many.
    """
    finest = min(order + _EXTRA_ORDERS, SPATIAL_INDEX_ORDER)
    if kind == "point":
        cell = int(pixel_of(np.array(numbers[:1]), np.array(numbers[1:]), order=order)[0])
        return moc.parse(f"{order}/{cell}")
    found = cover(depth_of(kind, numbers), order=finest, most_cells=_MOST_CELLS)
    if found.order < order:
        raise UsageError(f"a MOC of order {order} has too many cells along this shape; write a lower order.")
    return moc.degraded(found.outer, order)
