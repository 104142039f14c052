"""Which parts of the sky a condition can need: index ranges for the scans of a query block.

Ranges are a promise that rows outside change no answer. They come from terms that must be true for a row to count and
are not true for NULL coordinates, so that they hold for either side of an outer join too (see `covered`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pachon.core.healpix import cone_index_ranges
from pachon.core.sky import Cone, gnomonic_frame
from pachon.queries.adql.constants import numeric_value
from pachon.queries.adql.geometry import box_radius_deg
from pachon.queries.plan import Call, ColumnRef, Expression, IndexRanges, Join, JoinKind, Op, Relation, Scan
from pachon.releases.models import Snapshot, Table

_SLACK = 1 + 1e-9
_WHOLE_SKY_DEG = 180
_NARROWER = frozenset({Op.LT, Op.LE})
_WIDER = frozenset({Op.GT, Op.GE})


_Known = dict[int, IndexRanges]
"""Ranges by number of source; a source without any may be needed anywhere."""


def covered(relation: Relation, where: Expression | None) -> Relation:
    """The relation with the index ranges its conditions allow; every condition is looked at once.

    A term of WHERE, or of the condition of an inner join, rejects rows whose coordinates are NULL: leaving out a row
    can then only remove rows that would be rejected. The condition of an outer join restricts the optional side alone.
    """
    tables = {scan.source: scan.snapshot.table for scan in _scans(relation) if isinstance(scan.snapshot, Snapshot)}
    return _narrowed(relation, _ranges(where, tables), tables)


def _scans(relation: Relation) -> Iterator[Scan]:
    if isinstance(relation, Join):
        yield from _scans(relation.left)
        yield from _scans(relation.right)
    elif isinstance(relation, Scan):
        yield relation


def _narrowed(relation: Relation, known: _Known, tables: Mapping[int, Table]) -> Relation:
    if isinstance(relation, Join):
        both = _all_of([known, _ranges(relation.condition, tables)])
        left = both if relation.kind in {JoinKind.INNER, JoinKind.RIGHT} else known
        right = both if relation.kind in {JoinKind.INNER, JoinKind.LEFT} else known
        return replace(
            relation,
            left=_narrowed(relation.left, left, tables),
            right=_narrowed(relation.right, right, tables),
        )
    if isinstance(relation, Scan) and relation.source in known:
        return replace(relation, ranges=known[relation.source])
    return relation


def _ranges(condition: Expression | None, tables: Mapping[int, Table]) -> _Known:
    """Ranges outside of which the condition is not true."""
    if not isinstance(condition, Call):
        return {}
    if condition.op is Op.AND:
        return _all_of([_ranges(term, tables) for term in condition.arguments])
    if condition.op is Op.OR:
        return _any_of([_ranges(term, tables) for term in condition.arguments])
    return _term(condition, tables)


def _all_of(parts: list[_Known]) -> _Known:
    whole: _Known = {}
    for part in parts:
        for source, ranges in part.items():
            whole[source] = _intersection(whole[source], ranges) if source in whole else ranges
    return whole


def _any_of(parts: list[_Known]) -> _Known:
    everywhere = set.intersection(*(set(part) for part in parts))
    return {source: _union([part[source] for part in parts]) for source in everywhere}


def cone_ranges(cone: Cone) -> IndexRanges:
    """Index ranges that cover a cone."""
    return tuple((int(low), int(high)) for low, high in cone_index_ranges(cone))


def _term(call: Call, tables: Mapping[int, Table]) -> _Known:
    """Where a single term can be true; nowhere is an empty tuple."""
    match call.op:
        case Op.IN_CIRCLE:
            return _around(call.arguments[:4], numeric_value(call.arguments[4]), tables)
        case Op.IN_BOX:
            width, height = (numeric_value(size) for size in call.arguments[4:])
            if width is None or height is None or _source(call.arguments[:2], tables) is None:
                return {}
            return _around(call.arguments[:4], box_radius_deg(width, height), tables)
        case Op.IN_POLYGON:
            source = _source(call.arguments[:2], tables)
            if source is None:
                return {}
            vertices = np.array([numeric_value(each) for each in call.arguments[2:]], dtype=np.float64)
            return {source: cone_ranges(gnomonic_frame(vertices[0::2], vertices[1::2]).cone)}
        case _:
            return _distance(call, tables)


def _distance(call: Call, tables: Mapping[int, Table]) -> _Known:
    if call.op not in _NARROWER | _WIDER:
        return {}
    near, far = call.arguments if call.op in _NARROWER else call.arguments[::-1]
    if isinstance(near, Call) and near.op is Op.SEPARATION:
        return _around(near.arguments, numeric_value(far), tables)
    return {}


def _around(positions: tuple[Expression, ...], radius_deg: float | None, tables: Mapping[int, Table]) -> _Known:
    if radius_deg is None:
        return {}
    for mine, other in ((positions[:2], positions[2:]), (positions[2:], positions[:2])):
        ra_deg, dec_deg = (numeric_value(each) for each in other)
        source = _source(mine, tables)
        if source is not None and ra_deg is not None and dec_deg is not None:
            if radius_deg < 0:
                return {source: ()}
            widened = radius_deg * _SLACK + 1e-12
            return {source: cone_ranges(Cone(ra_deg, dec_deg, widened))} if widened < _WHOLE_SKY_DEG else {}
    return {}


def _source(pair: tuple[Expression, ...], tables: Mapping[int, Table]) -> int | None:
    """The source whose principal position a pair of expressions is."""
    first = pair[0]
    table = tables.get(first.source) if isinstance(first, ColumnRef) else None
    if table is None or not table.has_position or not isinstance(first, ColumnRef):
        return None
    names = [
        table.columns[each.index].name if isinstance(each, ColumnRef) and each.source == first.source else None
        for each in pair
    ]
    return first.source if names == [table.ra_column, table.dec_column] else None


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
