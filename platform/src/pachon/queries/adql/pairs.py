"""Joins by position: which terms of a condition say that two sides are close, and what that spares the scans.

ADQL 2.1 (section 4.2.7) prefers `DISTANCE(a, b) < r` for crossmatches; `CONTAINS(a, CIRCLE(b, r)) = 1` means the same.
Tried on all pairs they would take days. A join is given what it needs to be computed by keys (see `plan.Near`), the
terms themselves stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pachon.core.fields import DataType
from pachon.core.healpix import SPATIAL_INDEX_ORDER, pixel_count
from pachon.core.healpix_grid import WIDEST_DISC_DEG
from pachon.queries.adql.constants import numeric_value
from pachon.queries.adql.reach import handed_on
from pachon.queries.plan import (
    Call,
    ColumnRef,
    Derived,
    Expression,
    Join,
    JoinKind,
    Literal,
    MemorySnapshot,
    NamedRows,
    Near,
    Op,
    Position,
    Query,
    Relation,
    Scan,
    SetOperation,
    sources_of,
    terms_of,
)

_SLACK = 1 + 1e-9
_SLACK_DEG = 1e-10
_SHARE_OF_FILTERED = 0.1
_SIZE_OF_NAMED = 1e5
_WHOLE_SKY = float(pixel_count(SPATIAL_INDEX_ORDER))
_HALVES = {JoinKind.INNER: (True, True), JoinKind.LEFT: (True, False), JoinKind.RIGHT: (False, True)}
"""Which sides of a join have no rows in its answer but those of conditions around it."""


def paired(relation: Relation, where: Expression | None) -> Relation:
    """The relation with each join told how close its sides must be, and index ranges handed from side to side.

    A term of WHERE counts for the joins whose rows it may remove early: not for the optional side of an outer join.
    """
    return _paired(relation, terms_of(where))


def _paired(relation: Relation, terms: tuple[Expression, ...]) -> Relation:
    if not isinstance(relation, Join):
        return relation
    own = terms_of(relation.condition)
    if relation.kind is JoinKind.INNER:
        own = terms = (*own, *terms)
    goes_left, goes_right = _HALVES.get(relation.kind, (False, False))
    left = _paired(relation.left, terms if goes_left else ())
    right = _paired(relation.right, terms if goes_right else ())
    sides = _Sides(relation.kind, left, right)
    has_subquery = relation.kind is not JoinKind.INNER and _sources(own) is None
    if relation.kind is JoinKind.FULL or has_subquery or sides.meet_by_identifier(own):
        return replace(relation, left=left, right=right)
    found = [near for term in own if (near := sides.near(term)) is not None]
    if not found:
        return replace(relation, left=left, right=right)
    near = min(found, key=_width)
    return handed_on(replace(relation, left=left, right=right, near=near))


def _width(near: Near) -> float:
    radius = numeric_value(near.radius_deg)
    return WIDEST_DISC_DEG if radius is None else radius


@dataclass(slots=True)
class _Sides:
    """The two sides of a join, and what their columns belong to."""

    kind: JoinKind
    left: Relation
    right: Relation
    of_left: frozenset[int] = field(init=False)
    of_right: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        self.of_left, self.of_right = sources_of(self.left), sources_of(self.right)

    def near(self, term: Expression) -> Near | None:
        """What a term says about the distance of the two sides, if it does."""
        found = _closeness(term)
        if found is None or not _is_usable(found[2]):
            return None
        one, two, radius = found
        read = [_sources(expression) for expression in (one, two, (radius,))]
        if any(sources is None for sources in read):
            return None
        of_one, of_two, of_radius = (sources or frozenset() for sources in read)
        if of_one <= self.of_right and of_two <= self.of_left:
            one, two, of_one, of_two = two, one, of_two, of_one
        if not (of_one and of_two and of_one <= self.of_left and of_two <= self.of_right):
            return None
        around_left, around_right = Near(one, two, radius), Near(two, one, radius)
        choices = [
            (_size(self.left), around_left, self.left, self.right, JoinKind.RIGHT),
            (_size(self.right), around_right, self.right, self.left, JoinKind.LEFT),
        ]
        able = [
            (size, near)
            for size, near, mine, other, always in choices
            if (not of_radius or of_radius <= sources_of(mine))
            and (self.kind in {JoinKind.INNER, always} or not isinstance(other, Join))
            and (isinstance(radius, Literal) or self._can_differ(mine, of_radius, always))
        ]
        return min(able, key=lambda each: each[0])[1] if able else None

    def _can_differ(self, mine: Relation, of_radius: frozenset[int], always: JoinKind) -> bool:
        """Whether radii of this side may differ from row to row."""
        return _repeats(mine, of_radius) and not (self.kind is always and isinstance(mine, Join))

    def meet_by_identifier(self, terms: Iterable[Expression]) -> bool:
        """Whether a term says that the identifier of one side equals something of the other: then keys are enough."""
        for term in terms:
            if isinstance(term, Call) and term.op is Op.EQ:
                reads = [_sources((side,)) for side in term.arguments]
                across = all(reads) and {self._side(sources) for sources in reads} == {"left", "right"}
                if across and any(self._is_identifier(side) for side in term.arguments):
                    return True
        return False

    def _side(self, sources: frozenset[int] | None) -> str | None:
        if sources is None:
            return None
        return "left" if sources <= self.of_left else "right" if sources <= self.of_right else None

    def _is_identifier(self, expression: Expression) -> bool:
        if not isinstance(expression, ColumnRef):
            return False
        scan = _scan(self.left, expression.source) or _scan(self.right, expression.source)
        if scan is None:
            return False
        table = scan.snapshot.table
        name = table.columns[expression.index].name
        return name == table.id_column or table.primary_key == (name,)


def _closeness(term: Expression) -> tuple[Position, Position, Expression] | None:
    """Two positions and the distance that they must not exceed."""
    if not isinstance(term, Call):
        return None
    if term.op is Op.IN_CIRCLE:
        ra, dec, ra0, dec0, radius = term.arguments
        return (ra, dec), (ra0, dec0), _widened(radius)
    if term.op in {Op.LT, Op.LE}:
        near, far = term.arguments
    elif term.op in {Op.GT, Op.GE}:
        far, near = term.arguments
    elif term.op is Op.BETWEEN:
        near, _, far = term.arguments
    else:
        return None
    distance, factor = _scaled(near)
    if not isinstance(distance, Call) or distance.op is not Op.SEPARATION or not factor > 0:
        return None
    ra, dec, ra0, dec0 = distance.arguments
    return (ra, dec), (ra0, dec0), _widened(far, 1 / factor)


def _scaled(expression: Expression) -> tuple[Expression, float]:
    """An expression without the constant that it is multiplied with (arc seconds are DISTANCE * 3600)."""
    if isinstance(expression, Call) and expression.op is Op.CAST and expression.field.datatype is DataType.DOUBLE:
        return _scaled(expression.arguments[0])
    if isinstance(expression, Call) and expression.op in {Op.MULTIPLY, Op.DIVIDE}:
        first, second = expression.arguments
        value, rest = numeric_value(second), first
        if value is None and expression.op is Op.MULTIPLY:
            value, rest = numeric_value(first), second
        if value:
            inner, factor = _scaled(rest)
            return inner, factor * (value if expression.op is Op.MULTIPLY else 1 / value)
    return expression, 1.0


def _widened(radius: Expression, factor: float = 1.0) -> Expression:
    """A radius with room for rounding, degrees."""
    double = replace(radius.field, name="radius", datatype=DataType.DOUBLE, arraysize=None)
    value = numeric_value(radius)
    if value is not None:
        return Literal(value * factor * _SLACK + _SLACK_DEG if value >= 0 else -1.0, double)
    scaled = Call(Op.MULTIPLY, (radius, Literal(factor * _SLACK, double)), double)
    return Call(Op.ADD, (scaled, Literal(_SLACK_DEG, double)), double)


def _is_usable(radius: Expression) -> bool:
    value = numeric_value(radius)
    return radius.field.datatype.is_numeric and (value is None or value <= WIDEST_DISC_DEG)


def _sources(expressions: Iterable[Expression]) -> frozenset[int] | None:
    """Numbers of the sources that expressions read; None if one cannot be computed for a row of them alone."""
    found: set[int] = set()
    for expression in expressions:
        match expression:
            case ColumnRef():
                found.add(expression.source)
            case Literal():
                continue
            case Call() if expression.op is not Op.RANDOM:
                inner = _sources(expression.arguments)
                if inner is None:
                    return None
                found |= inner
            case _:
                return None
    return frozenset(found)


def relation_of(relation: Relation, source: int) -> Relation | None:
    """The source of a number in a relation."""
    if isinstance(relation, Join):
        return relation_of(relation.left, source) or relation_of(relation.right, source)
    return relation if relation.source == source else None


def _scan(relation: Relation, source: int) -> Scan | None:
    found = relation_of(relation, source)
    return found if isinstance(found, Scan) else None


def _repeats(relation: Relation, sources: frozenset[int]) -> bool:
    """Whether reading the source of a radius twice gives the same rows: not with TOP or OFFSET in it."""
    found = [relation_of(relation, source) for source in sources]
    return len(found) <= 1 and not any(isinstance(each, Derived) and _is_cut(each.query) for each in found)


def _is_cut(query: Query) -> bool:
    if isinstance(query, SetOperation):
        return query.offset is not None or _is_cut(query.left) or _is_cut(query.right)
    return query.limit is not None or query.offset is not None or _any_cut(query.source)


def _any_cut(relation: Relation) -> bool:
    if isinstance(relation, Join):
        return _any_cut(relation.left) or _any_cut(relation.right)
    return isinstance(relation, Derived) and _is_cut(relation.query)


def _size(relation: Relation) -> float:
    """About how many rows a relation has, to tell which side is the smaller one."""
    match relation:
        case Scan():
            if isinstance(relation.snapshot, MemorySnapshot):
                return float(relation.snapshot.rows.num_rows)
            return sum(part.row_count for part in relation.snapshot.partitions) * _share(relation)
        case Derived():
            return _size_of_query(relation.query)
        case Join():
            return max(_size(relation.left), _size(relation.right))
        case NamedRows():
            return _SIZE_OF_NAMED


def _share(scan: Scan) -> float:
    """The part of the sky that a scan is restricted to."""
    return 1.0 if scan.ranges is None else sum(stop - start for start, stop in scan.ranges) / _WHOLE_SKY


def _size_of_query(query: Query) -> float:
    if isinstance(query, SetOperation):
        return _size_of_query(query.left) + _size_of_query(query.right)
    if query.groups == ():
        return 1.0
    filtered = query.where is not None or query.groups is not None
    rows = _size(query.source) * (_SHARE_OF_FILTERED if filtered else 1.0)
    return rows if query.limit is None else min(rows, float(query.limit))
