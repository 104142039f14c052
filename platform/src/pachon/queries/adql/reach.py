"""What one side of a join by position spares the other: index ranges handed on with the radius added."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pachon.core.healpix import SPATIAL_INDEX_ORDER, pixel_count, position_of
from pachon.core.healpix_grid import WIDEST_DISC_DEG, disc_pixels, orders_for, pixel_of
from pachon.queries.adql.constants import numeric_value
from pachon.queries.adql.cover import common_ranges, principal_pair
from pachon.queries.plan import (
    ColumnRef,
    Expression,
    IndexRanges,
    Join,
    JoinKind,
    MemorySnapshot,
    Position,
    Relation,
    Scan,
    sources_of,
)

_MOST_ROWS = 200_000
_MOST_PIXELS = 4_096
_MOST_RANGES = 512
_FINEST_ORDER = 10
_COARSEST_ORDER = 3
_COARSE_ORDER = 6
_PIXEL_RADIUS_DEG = math.degrees(0.85)
"""No point of a base pixel's descendants at order k is further from their centre than this, divided by 2**k."""
_WORTH_WHILE = 0.5
_WHOLE_SKY = pixel_count(SPATIAL_INDEX_ORDER)


def handed_on(join: Join) -> Join:
    """A join with `near` whose scans read only what lies within the radius of the known regions of the other side.

    The rows of an outer join's preserved side all stay.
    """
    if join.near is None or (radius := numeric_value(join.near.radius_deg)) is None or radius < 0:
        return join
    scans = {scan.source: scan for side in (join.left, join.right) for scan in _scans(side)}
    around, others = join.near.around, join.near.others
    found: dict[int, IndexRanges] = {}
    for giver, taker in ((around, others), (others, around)):
        target = _owner(taker, scans)
        if target is None or not _may_shrink(join, target):
            continue
        region = _region(giver, scans, radius)
        if region is not None and _share(region) < _WORTH_WHILE:
            found[target] = region
    return replace(join, left=_restricted(join.left, found), right=_restricted(join.right, found))


def _scans(relation: Relation) -> Iterator[Scan]:
    if isinstance(relation, Join):
        yield from _scans(relation.left)
        yield from _scans(relation.right)
    elif isinstance(relation, Scan):
        yield relation


def _owner(position: Position, scans: dict[int, Scan]) -> int | None:
    """The stored scan whose principal position this is."""
    ra, dec = position
    if not (isinstance(ra, ColumnRef) and isinstance(dec, ColumnRef) and ra.source == dec.source):
        return None
    scan = scans.get(ra.source)
    return ra.source if scan is not None and principal_pair(scan) == (ra.index, dec.index) else None


def _may_shrink(join: Join, source: int) -> bool:
    if join.kind is JoinKind.INNER:
        return True
    optional = join.right if join.kind is JoinKind.LEFT else join.left
    return source in sources_of(optional)


def _region(position: Position, scans: dict[int, Scan], radius_deg: float) -> IndexRanges | None:
    """Where everything within a radius of the known positions of a side lies; None if they may be anywhere."""
    owner = _owner(position, scans)
    if owner is not None:
        ranges = scans[owner].ranges
        return None if ranges is None else _grown(ranges, radius_deg)
    first = position[0]
    scan = scans.get(first.source) if isinstance(first, ColumnRef) else None
    if scan is None or not isinstance(scan.snapshot, MemorySnapshot) or scan.snapshot.rows.num_rows > _MOST_ROWS:
        return None
    columns = [_numbers(each, scan.snapshot.rows, scan.source) for each in position]
    if columns[0] is None or columns[1] is None:
        return None
    return _around(columns[0], columns[1], radius_deg)


def _numbers(expression: Expression, rows: pa.Table, source: int) -> NDArray[np.float64] | None:
    if not isinstance(expression, ColumnRef) or expression.source != source:
        return None
    return np.asarray(rows.column(expression.index).cast(pa.float64()).to_numpy(), dtype=np.float64)


def _around(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], radius_deg: float) -> IndexRanges | None:
    coarse = np.unique(pixel_of(ra_deg, dec_deg) >> 2 * (SPATIAL_INDEX_ORDER - _COARSE_ORDER))
    if len(coarse) > _WORTH_WHILE * pixel_count(_COARSE_ORDER):
        return None
    order = _order(radius_deg)
    _, pixels = disc_pixels(ra_deg, dec_deg, np.full(len(ra_deg), radius_deg), np.full(len(ra_deg), order))
    return _as_ranges(np.unique(pixels), order)


def _order(radius_deg: float) -> int:
    return min(int(orders_for(np.array([radius_deg]))[0]), _FINEST_ORDER)


def _grown(ranges: IndexRanges, radius_deg: float) -> IndexRanges | None:
    if not ranges:
        return ()
    for order in range(_order(radius_deg), _COARSEST_ORDER - 1, -1):
        shift = 2 * (SPATIAL_INDEX_ORDER - order)
        spans = [(start >> shift, ((stop - 1) >> shift) + 1) for start, stop in ranges]
        if sum(stop - start for start, stop in spans) <= _MOST_PIXELS:
            break
    else:
        return None
    reach = radius_deg + _PIXEL_RADIUS_DEG / 2**order
    if reach > WIDEST_DISC_DEG:
        return None
    pixels = np.unique(np.concatenate([np.arange(*span) for span in spans]))
    ra_deg, dec_deg = position_of(pixels, order=order)
    _, grown = disc_pixels(ra_deg, dec_deg, np.full(len(pixels), reach), np.full(len(pixels), order))
    return _as_ranges(np.unique(grown), order)


def _as_ranges(pixels: NDArray[np.int64], order: int) -> IndexRanges:
    """Sorted pixels as ranges; of more than some hundred ranges, those with the narrowest gaps are joined."""
    if not len(pixels):
        return ()
    gaps = np.flatnonzero(np.diff(pixels) > 1)
    if len(gaps) >= _MOST_RANGES:
        widest = np.argsort(np.diff(pixels)[gaps], kind="stable")[1 - _MOST_RANGES :]
        gaps = np.sort(gaps[widest])
    shift = 2 * (SPATIAL_INDEX_ORDER - order)
    starts = (pixels[np.concatenate([[0], gaps + 1])] << shift).tolist()
    stops = ((pixels[np.concatenate([gaps, [len(pixels) - 1]])] + 1) << shift).tolist()
    return tuple(zip(starts, stops, strict=True))


def _share(ranges: IndexRanges) -> float:
    return sum(stop - start for start, stop in ranges) / _WHOLE_SKY


def _restricted(relation: Relation, found: dict[int, IndexRanges]) -> Relation:
    if isinstance(relation, Join):
        left, right = _restricted(relation.left, found), _restricted(relation.right, found)
        return replace(relation, left=left, right=right)
    if isinstance(relation, Scan) and relation.source in found:
        region = found[relation.source]
        return replace(relation, ranges=region if relation.ranges is None else common_ranges(relation.ranges, region))
    return relation
