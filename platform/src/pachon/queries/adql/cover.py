"""Which parts of the sky a condition can need: index ranges for the scans of a query block.

Ranges are a promise that rows outside change no answer. They come from terms that must be true for a row to count and
are not true for NULL coordinates, so that they hold for either side of an outer join too (see `covered`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pachon.core.healpix import cone_index_ranges
from pachon.core.sky import Cone, gnomonic_frame
from pachon.queries.adql.constants import numeric_value
from pachon.queries.adql.geometry import box_radius_deg
from pachon.queries.plan import Call, ColumnRef, Expression, IndexRanges, Join, JoinKind, Op, Relation, Scan
from pachon.releases.models import Snapshot

_SLACK = 1 + 1e-9
_NARROWER = frozenset({Op.LT, Op.LE})
_WIDER = frozenset({Op.GT, Op.GE})


def covered(relation: Relation, where: Expression | None) -> Relation:
    """The relation with the index ranges its conditions allow.

    A term of WHERE, or of the condition of an inner join, rejects rows whose coordinates are NULL: leaving out a row
    can then only remove rows that would be rejected. The condition of an outer join restricts the optional side alone.
    """
    if isinstance(relation, Join):
        left, right, condition = relation.left, relation.right, relation.condition
        if relation.kind in {JoinKind.INNER, JoinKind.RIGHT}:
            left = covered(left, condition)
        if relation.kind in {JoinKind.INNER, JoinKind.LEFT}:
            right = covered(right, condition)
        return replace(relation, left=covered(left, where), right=covered(right, where))
    if isinstance(relation, Scan) and isinstance(relation.snapshot, Snapshot) and where is not None:
        found = _ranges(where, relation)
        return relation if found is None else replace(relation, ranges=_both(relation.ranges, found))
    return relation


def _both(present: IndexRanges | None, found: IndexRanges) -> IndexRanges:
    return found if present is None else _intersection(present, found)


def _ranges(condition: Expression, scan: Scan) -> IndexRanges | None:
    """Ranges outside of which the condition is not true; None if there is no such promise."""
    if not isinstance(condition, Call):
        return None
    if condition.op is Op.AND:
        known = [found for term in condition.arguments if (found := _ranges(term, scan)) is not None]
        return None if not known else _fold_intersection(known)
    if condition.op is Op.OR:
        parts = [_ranges(term, scan) for term in condition.arguments]
        known = [part for part in parts if part is not None]
        return _union(known) if len(known) == len(parts) else None
    cone = _cone(condition, scan)
    if cone is None:
        return None
    return cone if isinstance(cone, tuple) else cone_ranges(cone)


def cone_ranges(cone: Cone) -> IndexRanges:
    """Index ranges that cover a cone."""
    return tuple((int(low), int(high)) for low, high in cone_index_ranges(cone))


def _cone(call: Call, scan: Scan) -> Cone | IndexRanges | None:
    """A cone that holds every row for which a term is true; an empty tuple if no row can be."""
    match call.op:
        case Op.IN_CIRCLE:
            return _around(scan, call.arguments[:4], numeric_value(call.arguments[4]))
        case Op.IN_BOX:
            sizes = [numeric_value(size) for size in call.arguments[4:]]
            radius = None if sizes[0] is None or sizes[1] is None else box_radius_deg(sizes[0], sizes[1])
            return _around(scan, call.arguments[:4], radius) if _is_position(scan, call.arguments[:2]) else None
        case Op.IN_POLYGON if _is_position(scan, call.arguments[:2]):
            vertices = np.array([numeric_value(each) for each in call.arguments[2:]], dtype=np.float64)
            return gnomonic_frame(vertices[0::2], vertices[1::2]).cone
        case _:
            return _distance_cone(call, scan)


def _distance_cone(call: Call, scan: Scan) -> Cone | IndexRanges | None:
    if call.op not in _NARROWER | _WIDER:
        return None
    near, far = call.arguments if call.op in _NARROWER else call.arguments[::-1]
    if isinstance(near, Call) and near.op is Op.SEPARATION:
        return _around(scan, near.arguments, numeric_value(far))
    return None


def _around(scan: Scan, positions: tuple[Expression, ...], radius_deg: float | None) -> Cone | IndexRanges | None:
    if radius_deg is None:
        return None
    for mine, other in ((positions[:2], positions[2:]), (positions[2:], positions[:2])):
        centre = [numeric_value(each) for each in other]
        if _is_position(scan, mine) and centre[0] is not None and centre[1] is not None:
            if radius_deg < 0:
                return ()
            widened = radius_deg * _SLACK + 1e-12
            return Cone(centre[0], centre[1], widened) if widened < 180 else None  # noqa: PLR2004 -- the whole sky
    return None


def _is_position(scan: Scan, pair: tuple[Expression, ...]) -> bool:
    table = scan.snapshot.table
    names = [
        table.columns[each.index].name if isinstance(each, ColumnRef) and each.source == scan.source else None
        for each in pair
    ]
    return table.has_position and names == [table.ra_column, table.dec_column]


def _fold_intersection(parts: list[IndexRanges]) -> IndexRanges:
    whole = parts[0]
    for part in parts[1:]:
        whole = _intersection(whole, part)
    return whole


def _intersection(first: IndexRanges, second: IndexRanges) -> IndexRanges:
    found, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        low, high = max(first[i][0], second[j][0]), min(first[i][1], second[j][1])
        if low < high:
            found.append((low, high))
        if first[i][1] < second[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def _union(parts: list[IndexRanges]) -> IndexRanges:
    rows: NDArray[np.int64] = np.array(sorted(pair for part in parts for pair in part), dtype=np.int64).reshape(-1, 2)
    merged: list[tuple[int, int]] = []
    for low, high in rows.tolist():
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)
