"""Which parts of the sky a condition can need: index ranges for the scans of a query block.

Ranges are a promise that rows outside change no answer. They come from terms that must be true, or false, for a row to
count and are neither for NULL coordinates, so that they hold for either side of an outer join too (see `covered`), and
for the rows of a query in FROM or WITH whose columns are the positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pachon.core import moc
from pachon.core.cover import Depth, cone_depth, cover
from pachon.core.healpix import cone_index_ranges
from pachon.core.sky import Cone
from pachon.queries.adql.constants import numeric_value
from pachon.queries.adql.regions import depth_of
from pachon.queries.plan import (
    Call,
    ColumnRef,
    Derived,
    Expression,
    IndexRanges,
    Join,
    JoinKind,
    Literal,
    NamedRows,
    Op,
    Query,
    Relation,
    Scan,
    SetOperation,
    named_rows,
)
from pachon.releases.models import Snapshot

_SLACK = 1 + 1e-9
_LEAST_SLACK_DEG = 1e-12
_WHOLE_SKY_DEG = 180
_NARROWER = frozenset({Op.LT, Op.LE})
_WIDER = frozenset({Op.GT, Op.GE})
_MOST_CELLS = 400
_MOST_COVERS = 40
"""Covers of milliseconds that one query block may ask for; terms beyond restrict nothing."""

_Pair = tuple[int, int]
"""Columns of right ascension and declination."""
_Place = tuple[int, int, int]
"""A source, and its columns of right ascension and declination."""
_Known = dict[_Place, moc.Ranges]
"""Ranges by place; a place without any may be needed anywhere."""


def covered(relation: Relation, where: Expression | None, named: Sequence[Query]) -> Relation:
    """The relation with the index ranges its conditions allow; every condition is looked at once.

    A term of WHERE, or of the condition of an inner join, rejects rows whose coordinates are NULL: leaving out a row
    can then only remove rows that would be rejected. The condition of an outer join restricts the optional side alone.
    """
    finder = _Finder(frozenset(_places(relation, named)))
    return _narrowed(relation, finder.ranges(where, wanted=True), named, finder)


def demanded(named: Sequence[Query], query: Query) -> tuple[Query, ...]:
    """The queries of WITH, each narrowed to what all places that use it need."""
    whole = list(named)
    for number in range(len(whole) - 1, -1, -1):
        users = [rows for each in (*whole[number + 1 :], query) for rows in named_rows(each) if rows.name == number]
        demands = [_demands(rows) for rows in users]
        pairs = set.intersection(*(set(each) for each in demands)) if demands else set()
        wanted = {pair: moc.union([each[pair] for each in demands]) for pair in pairs}
        whole[number] = _pushed(whole[number], wanted, whole)
    return tuple(whole)


def _places(relation: Relation, named: Sequence[Query]) -> Iterator[_Place]:
    """The positions that index ranges could narrow."""
    match relation:
        case Join():
            yield from _places(relation.left, named)
            yield from _places(relation.right, named)
        case Scan():
            pair = principal_pair(relation)
            if pair is not None:
                yield relation.source, *pair
        case Derived():
            yield from ((relation.source, *pair) for pair in _output_pairs(relation.query, named))
        case NamedRows():
            yield from ((relation.source, *pair) for pair in _output_pairs(named[relation.name], named))


def principal_pair(scan: Scan) -> _Pair | None:
    """Numbers of the columns that are the main position of a stored table."""
    table = scan.snapshot.table
    if not isinstance(scan.snapshot, Snapshot) or table.ra_column is None or table.dec_column is None:
        return None
    names = [column.name for column in table.columns]
    return names.index(table.ra_column), names.index(table.dec_column)


def _output_pairs(query: Query, named: Sequence[Query]) -> dict[_Pair, _Place]:
    """The places that plain output columns of a query show; none where leaving out rows would change others."""
    if isinstance(query, SetOperation):
        if query.offset is not None:
            return {}
        return _output_pairs(query.left, named) | _output_pairs(query.right, named)
    if query.limit is not None or query.offset is not None or query.groups is not None:
        return {}
    shown: dict[_Pair, int] = {}
    for number, output in enumerate(query.outputs):
        if isinstance(output.expression, ColumnRef):
            shown.setdefault((output.expression.source, output.expression.index), number)
    return {
        (shown[source, ra], shown[source, dec]): (source, ra, dec)
        for source, ra, dec in _places(query.source, named)
        if (source, ra) in shown and (source, dec) in shown
    }


def _pushed(query: Query, wanted: Mapping[_Pair, moc.Ranges], named: Sequence[Query]) -> Query:
    """The query without some rows whose positions lie elsewhere."""
    if not wanted:
        return query
    if isinstance(query, SetOperation):
        return replace(query, left=_pushed(query.left, wanted, named), right=_pushed(query.right, wanted, named))
    places = _output_pairs(query, named)
    known = {places[pair]: ranges for pair, ranges in wanted.items() if pair in places}
    return replace(query, source=_narrowed(query.source, known, named)) if known else query


def _demands(rows: NamedRows) -> dict[_Pair, moc.Ranges]:
    return {(ra, dec): _array(ranges) for ra, dec, ranges in rows.demands}


def _narrowed(relation: Relation, known: _Known, named: Sequence[Query], finder: _Finder | None = None) -> Relation:
    """A relation of which only what is `known` to be needed stays; with a finder, conditions of joins are read."""
    if isinstance(relation, Join):
        both = _all_of([known, finder.ranges(relation.condition, wanted=True)]) if finder else known
        left = both if relation.kind in {JoinKind.INNER, JoinKind.RIGHT} else known
        right = both if relation.kind in {JoinKind.INNER, JoinKind.LEFT} else known
        return replace(
            relation,
            left=_narrowed(relation.left, left, named, finder),
            right=_narrowed(relation.right, right, named, finder),
        )
    mine = {(ra, dec): ranges for (source, ra, dec), ranges in known.items() if source == relation.source}
    if not mine:
        return relation
    match relation:
        case Scan():
            (ranges,) = mine.values()
            earlier = ranges if relation.ranges is None else _array(relation.ranges)
            return replace(relation, ranges=_tuples(moc.intersection(ranges, earlier)))
        case Derived():
            return replace(relation, query=_pushed(relation.query, mine, named))
        case NamedRows():
            earlier_demands = _demands(relation)
            both_demands = earlier_demands | {
                pair: moc.intersection(ranges, earlier_demands[pair]) if pair in earlier_demands else ranges
                for pair, ranges in mine.items()
            }
            return replace(relation, demands=tuple((*pair, _tuples(each)) for pair, each in both_demands.items()))


def _all_of(parts: list[_Known]) -> _Known:
    whole: _Known = {}
    for part in parts:
        for place, ranges in part.items():
            whole[place] = moc.intersection(whole[place], ranges) if place in whole else ranges
    return whole


def _any_of(parts: list[_Known]) -> _Known:
    everywhere = set.intersection(*(set(part) for part in parts))
    return {place: moc.union([part[place] for part in parts]) for place in everywhere}


def cone_ranges(cone: Cone) -> IndexRanges:
    """Index ranges that cover a cone."""
    return _tuples(cone_index_ranges(cone))


def common_ranges(first: IndexRanges, second: IndexRanges) -> IndexRanges:
    """What both hold."""
    return _tuples(moc.intersection(_array(first), _array(second)))


def _tuples(ranges: moc.Ranges) -> IndexRanges:
    return tuple((low, high) for low, high in ranges.tolist())


def _array(ranges: IndexRanges) -> moc.Ranges:
    return np.array(ranges, dtype=np.int64).reshape(-1, 2)


@dataclass(slots=True)
class _Finder:
    """Finds where conditions can be true, or false.

    Parameters
    ----------
    places
        The positions that count.
    """

    places: frozenset[_Place]
    covers: int = field(default=0, init=False)

    def ranges(self, condition: Expression | None, *, wanted: bool) -> _Known:
        """Ranges outside of which the condition is not what is wanted: true, or false."""
        if not isinstance(condition, Call) or not self.places:
            return {}
        if condition.op is Op.NOT:
            return self.ranges(condition.arguments[0], wanted=not wanted)
        if condition.op in {Op.AND, Op.OR}:
            parts = [self.ranges(term, wanted=wanted) for term in condition.arguments]
            return _all_of(parts) if (condition.op is Op.AND) is wanted else _any_of(parts)
        return self._term(condition, wanted=wanted)

    def _term(self, call: Call, *, wanted: bool) -> _Known:
        """Where a single term can be what is wanted; nowhere is an empty array."""
        match call.op:
            case Op.IN_CIRCLE:
                return self._around(call.arguments[:4], numeric_value(call.arguments[4]), inside=wanted)
            case Op.IN_BOX:
                return self._in_shape("box", call.arguments[:2], call.arguments[2:], inside=wanted)
            case Op.IN_POLYGON:
                return self._in_shape("polygon", call.arguments[:2], call.arguments[2:], inside=wanted)
            case Op.COVERED_BY:
                return self._in_moc(call, inside=wanted)
            case Op.CONTAINS | Op.INTERSECTS:
                return self._near_polygon(call) if wanted else {}
            case _:
                return self._distance(call, wanted=wanted)

    def _in_shape(
        self, kind: str, position: tuple[Expression, ...], numbers: tuple[Expression, ...], *, inside: bool
    ) -> _Known:
        place, values = self._place(position), _values(numbers)
        if place is None or values is None:
            return {}
        return self._in_region(place, depth_of(kind, values), inside=inside)

    def _in_region(self, place: _Place, depth: Depth, *, inside: bool) -> _Known:
        self.covers += 1
        if self.covers > _MOST_COVERS:
            return {}
        found = cover(depth, most_cells=_MOST_CELLS)
        return {place: found.outer if inside else moc.complement(found.inner)}

    def _in_moc(self, call: Call, *, inside: bool) -> _Known:
        place, text = self._place(call.arguments[:2]), call.arguments[2]
        if place is None or not isinstance(text, Literal):
            return {}
        ranges = moc.parse(str(text.value))
        return {place: ranges if inside else moc.complement(ranges)}

    def _near_polygon(self, call: Call) -> _Known:
        """A circle about a position that lies in a polygon, or meets it."""
        first, second = call.arguments
        if not (isinstance(first, Call) and isinstance(second, Call) and {first.op, second.op} == {Op.ARRAY}):
            return {}
        place, values = self._place(first.arguments[:2]), _values(second.arguments)
        radius = _values(first.arguments[2:])
        if place is None or values is None or radius is None or second.field.xtype != "polygon" or len(radius) != 1:
            return {}
        depth, more = depth_of("polygon", values), np.radians(radius[0]) if call.op is Op.INTERSECTS else 0.0
        return self._in_region(place, lambda ra_deg, dec_deg: depth(ra_deg, dec_deg) + more, inside=True)

    def _distance(self, call: Call, *, wanted: bool) -> _Known:
        """`distance < radius` and its relatives."""
        if call.op not in _NARROWER | _WIDER:
            return {}
        low, high = call.arguments if call.op in _NARROWER else call.arguments[::-1]
        more: float | None = 0.0
        if isinstance(low, Call) and low.op is Op.ADD:
            low, radius = low.arguments
            more = numeric_value(radius)
        if more is None:
            return {}
        if isinstance(low, Call) and low.op is Op.SEPARATION:
            limit = numeric_value(high)
            return self._around(low.arguments, None if limit is None else limit - more, inside=wanted)
        if isinstance(high, Call) and high.op is Op.SEPARATION:
            return self._around(high.arguments, numeric_value(low), inside=not wanted)
        return {}

    def _around(self, positions: tuple[Expression, ...], radius_deg: float | None, *, inside: bool) -> _Known:
        if radius_deg is None:
            return {}
        for mine, other in ((positions[:2], positions[2:]), (positions[2:], positions[:2])):
            place, centre = self._place(mine), _values(other)
            if place is not None and centre is not None:
                return self._within(place, centre, radius_deg) if inside else self._beyond(place, centre, radius_deg)
        return {}

    def _within(self, place: _Place, centre: tuple[float, ...], radius_deg: float) -> _Known:
        if radius_deg < 0:
            return {place: _array(())}
        widened = radius_deg * _SLACK + _LEAST_SLACK_DEG
        return {place: cone_index_ranges(Cone(centre[0], centre[1], widened))} if widened < _WHOLE_SKY_DEG else {}

    def _beyond(self, place: _Place, centre: tuple[float, ...], radius_deg: float) -> _Known:
        narrowed = min(radius_deg, _WHOLE_SKY_DEG) / _SLACK - _LEAST_SLACK_DEG
        if narrowed <= 0:
            return {}
        return self._in_region(place, cone_depth(Cone(centre[0], centre[1], narrowed)), inside=False)

    def _place(self, pair: tuple[Expression, ...]) -> _Place | None:
        """The place that a pair of expressions is."""
        first, second = pair
        if not (isinstance(first, ColumnRef) and isinstance(second, ColumnRef) and first.source == second.source):
            return None
        place = first.source, first.index, second.index
        return place if place in self.places else None


def _values(numbers: tuple[Expression, ...]) -> tuple[float, ...] | None:
    known = tuple(numeric_value(each) for each in numbers)
    return None if any(each is None for each in known) else tuple(each for each in known if each is not None)
