"""Walks a plan from its scans to its answer, and adds up rows, reading and work."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from pachon.core.fields import DataType, Field
from pachon.queries.estimate.flow import Flow, filtered
from pachon.queries.estimate.groups import Grouped, group_count, group_numbers
from pachon.queries.estimate.joins import join
from pachon.queries.estimate.models import Reading
from pachon.queries.estimate.scans import StoredScan
from pachon.queries.estimate.statistics import StatisticsStore
from pachon.queries.estimate.terms import reads_only, used_columns
from pachon.queries.estimate.values import Evaluator, Frame, Key
from pachon.queries.plan import (
    ColumnRef,
    Derived,
    Exists,
    Expression,
    InQuery,
    Join,
    JoinKind,
    MemorySnapshot,
    NamedRows,
    Output,
    Plan,
    Query,
    Relation,
    Scan,
    Select,
    SetKind,
    SetOperation,
    sources_of,
    terms_of,
)

_WAY_OUT_S = 1.5e-8
_PASS_S = 1.2e-8
_KEY_S = 5e-8
_SORT_S = 1.5e-8
_PAIR_S = 9e-8
_PLAIN_PAIR_S = 4e-9
_DISC_S = 2e-6
_TRIED = 10
"""Pairs in the same pixels of the sky that are tried for each that is close enough."""
_BYTE_S = 3e-9
_START_S = 0.01


@dataclass(slots=True)
class Work:
    """What running a plan takes, added up on the way.

    Parameters
    ----------
    pairs
        The largest number of pairs a join has to try one by one, and between how many rows.
    """

    reading: Reading = field(default_factory=Reading)
    seconds: float = _START_S
    pairs: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(slots=True)
class Walk:
    """One walk over one plan."""

    plan: Plan
    store: StatisticsStore
    work: Work = field(default_factory=Work)
    _used: dict[int, set[int]] = field(default_factory=dict)
    _named: list[Flow] = field(default_factory=list)
    _shares: dict[int, float] = field(default_factory=dict)

    def flow(self) -> Flow:
        """The rows of the answer, without regard to MAXREC."""
        self._used = used_columns(self.plan)
        for query in self.plan.named:
            self._named.append(self._query(query, None))
        limit = None if self.plan.max_rows is None else float(self.plan.max_rows + 1)
        found = self._query(self.plan.query, limit)
        self.work.seconds += min(found.rows, limit or math.inf) * len(self.plan.query.outputs) * _WAY_OUT_S
        return found

    def _query(self, query: Query, wanted_rows: float | None) -> Flow:
        return self._set(query) if isinstance(query, SetOperation) else self._select(query, wanted_rows)

    def _select(self, select: Select, wanted_rows: float | None) -> Flow:
        streams = select.groups is None and not select.distinct and not select.order
        first = min((n for n in (select.limit, wanted_rows) if n is not None), default=None) if streams else None
        flow = self._source(select, None if first is None else first + (select.offset or 0))
        outputs = [output.expression for output in select.outputs]
        if select.groups is not None:
            flow, values = self._grouped(select, flow)
        else:
            values = Evaluator(flow.frame, self._share)
        flow = self._renumbered(flow, select.outputs, values)
        if select.distinct:
            flow = self._different(flow, len(outputs))
        if select.order:
            sorted_rows = flow.rows if select.limit is None else min(flow.rows, float(select.limit))
            self.work.seconds += flow.rows * _PASS_S + sorted_rows * math.log2(sorted_rows + 2) * _SORT_S
        return _cut(flow, select.offset, select.limit)

    def _source(self, select: Select, wanted_rows: float | None) -> Flow:
        terms = terms_of(select.where)
        flow, rest = self._relation(select.source, terms, wanted_rows)
        self.work.seconds += flow.rows * len(rest) * _PASS_S
        return filtered(flow, tuple(rest), self._share)

    def _relation(
        self, relation: Relation, terms: tuple[Expression, ...], wanted_rows: float | None
    ) -> tuple[Flow, list[Expression]]:
        """The rows of a relation that pass some terms, and the terms that are still to be tested."""
        match relation:
            case Scan():
                mine = frozenset({relation.source})
                own = tuple(term for term in terms if reads_only(term, mine))
                return self._scan(relation, own, wanted_rows), [
                    term for term in terms if all(term is not each for each in own)
                ]
            case Derived():
                return self._as_source(self._query(relation.query, None), relation.source), list(terms)
            case NamedRows():
                return self._as_source(self._named[relation.name], relation.source), list(terms)
            case Join():
                return self._join(relation, terms, wanted_rows)

    def _scan(self, scan: Scan, terms: tuple[Expression, ...], wanted_rows: float | None) -> Flow:
        columns = frozenset(self._used.get(scan.source, set()))
        if isinstance(scan.snapshot, MemorySnapshot):
            rows = scan.snapshot.rows
            frame = {(scan.source, i): rows.column(i).combine_chunks() for i in columns}
            self.work.reading += Reading(float(rows.num_rows))
            return filtered(Flow(float(rows.num_rows), Frame(frame, rows.num_rows), complete=True), terms, self._share)
        stored = StoredScan(scan, self.store.of(scan.snapshot), columns, terms, self._share)
        found = stored.flow()
        reading = stored.reading(1.0 if wanted_rows is None else wanted_rows / max(found.rows, 1e-9))
        self.work.reading += reading
        self.work.seconds += reading.size_bytes * _BYTE_S + reading.rows * (1 + len(terms)) * _PASS_S
        return found

    def _join(
        self, relation: Join, terms: tuple[Expression, ...], wanted_rows: float | None
    ) -> tuple[Flow, list[Expression]]:
        inner = relation.kind is JoinKind.INNER
        conditions = terms_of(relation.condition) + (terms if inner else ())
        left, right = sources_of(relation.left), sources_of(relation.right)
        keeps_left = relation.kind in {JoinKind.INNER, JoinKind.LEFT}
        before_left = tuple(t for t in (conditions if inner else terms) if keeps_left and reads_only(t, left))
        pushable = conditions if inner else (conditions if relation.kind is JoinKind.LEFT else ())
        before_right = tuple(t for t in pushable if reads_only(t, right) and all(t is not b for b in before_left))
        one, rest_left = self._relation(relation.left, before_left, None)
        two, rest_right = self._relation(relation.right, before_right, None)
        one, two = filtered(one, tuple(rest_left), self._share), filtered(two, tuple(rest_right), self._share)
        done = (*before_left, *before_right)
        on = tuple(term for term in conditions if all(term is not each for each in done))
        joined = join(relation.kind, (one, two), on, self._share)
        made = min(joined.flow.rows, math.inf if wanted_rows is None else wanted_rows)
        if relation.near is None:
            self._count_pairs(joined.pairs, (one, two), on, wanted_rows)
        else:
            self.work.seconds += min(one.rows, two.rows) * _DISC_S + made * _TRIED * _PAIR_S
        self.work.seconds += (one.rows + two.rows + made) * _KEY_S
        later = () if inner else tuple(term for term in terms if all(term is not each for each in done))
        return joined.flow, list(later)

    def _count_pairs(
        self, pairs: float, sides: tuple[Flow, Flow], on: tuple[Expression, ...], wanted_rows: float | None
    ) -> None:
        if not on and wanted_rows is not None:
            pairs = min(pairs, wanted_rows)
        self.work.seconds += pairs * (_PAIR_S if on else _PLAIN_PAIR_S)
        if pairs > self.work.pairs[0]:
            self.work.pairs = (pairs, sides[0].rows, sides[1].rows)

    def _grouped(self, select: Select, flow: Flow) -> tuple[Flow, Evaluator]:
        keys = select.groups or ()
        self.work.seconds += flow.rows * max(len(keys), 1) * _KEY_S
        numbers = group_numbers(flow, keys, self._share)
        grouped = Grouped(flow, numbers, self._share)
        groups = group_count(flow, keys, numbers, self._share) if keys else 1.0
        if select.having is not None:
            grouped, groups = grouped.having(select.having, groups)
        complete = flow.complete and grouped.frame.size == groups
        spread = 1.0 if complete or (not keys and select.having is None) else 1.5 * flow.spread
        return Flow(groups, grouped.frame, complete, spread, flow.origins), grouped.evaluator()

    def _renumbered(self, flow: Flow, outputs: tuple[Output, ...], values: Evaluator) -> Flow:
        """The outputs as columns of source -1."""
        columns: dict[Key, pa.Array] = {}
        origins = {}
        for number, output in enumerate(outputs):
            columns[-1, number] = values.column(output.expression)
            expression = output.expression
            if isinstance(expression, ColumnRef) and (key := (expression.source, expression.index)) in flow.origins:
                origins[-1, number] = flow.origins[key]
        complete = flow.complete and not values.has_guessed
        return replace(flow, frame=Frame(columns, values.frame.size), complete=complete, origins=origins)

    def _different(self, flow: Flow, width: int) -> Flow:
        keys = tuple(_column(number) for number in range(width))
        self.work.seconds += flow.rows * width * _KEY_S
        numbers = group_numbers(flow, keys, self._share)
        rows = group_count(flow, keys, numbers, self._share)
        first = np.unique(numbers, return_index=True)[1].astype(np.int64)
        complete = flow.complete
        return Flow(rows, flow.frame.take(first), complete, flow.spread * (1.0 if complete else 1.5), flow.origins)

    def _set(self, query: SetOperation) -> Flow:
        left, right = self._query(query.left, None), self._query(query.right, None)
        width = len(query.outputs)
        self.work.seconds += (left.rows + right.rows) * width * _KEY_S
        if not query.all_rows:
            left, right = self._different(left, width), self._different(right, width)
        both = 0.0
        if not (query.kind is SetKind.UNION and query.all_rows):
            both = self._shared(left, right, width)
        rows = {
            SetKind.UNION: left.rows + right.rows - both,
            SetKind.EXCEPT: left.rows - both,
            SetKind.INTERSECT: both,
        }[query.kind]
        frame = _stacked(left.frame, right.frame) if query.kind is SetKind.UNION else left.frame
        complete = query.kind is SetKind.UNION and query.all_rows and left.complete and right.complete
        flow = Flow(rows, frame, complete, max(left.spread, right.spread) * (1.0 if complete else 1.5))
        return _cut(flow, query.offset, None)

    def _shared(self, left: Flow, right: Flow, width: int) -> float:
        """Rows on both sides: those whose most varied column meets."""
        domains = [left.domain(_column(number), self._share) for number in range(width)]
        number = int(np.argmax(domains))
        other = right.domain(_column(number), self._share)
        return min(left.rows * right.rows / max(domains[number], other, 1.0), left.rows, right.rows)

    def _as_source(self, flow: Flow, source: int) -> Flow:
        columns = {(source, index): column for (_, index), column in flow.frame.columns.items()}
        origins = {(source, index): origin for (_, index), origin in flow.origins.items()}
        return replace(flow, frame=Frame(columns, flow.frame.size), origins=origins)

    # Subqueries

    def _share(self, expression: InQuery | Exists) -> float:
        """The share of rows for which a subquery is true; each subquery is looked at once."""
        if id(expression) not in self._shares:
            self._shares[id(expression)] = 0.5
            self._shares[id(expression)] = self._among(expression)
        return self._shares[id(expression)]

    def _among(self, expression: InQuery | Exists) -> float:
        if isinstance(expression, Exists):
            return self._exists(expression.query)
        found = self._query(expression.query, None)
        values = _column(0)
        most = max(found.domain(values, self._share), self._domain_of(expression.operand))
        return min(1.0, found.distinct(values, self._share) / max(most, 1.0))

    def _domain_of(self, operand: Expression) -> float:
        """Different values of a column that stands before IN, whichever scan it is of."""
        if isinstance(operand, ColumnRef):
            for scan in self.plan.scans:
                if scan.source == operand.source and not isinstance(scan.snapshot, MemorySnapshot):
                    return self.store.of(scan.snapshot).distinct(operand.index)
        return 1.0

    def _exists(self, query: Query) -> float:
        """A subquery that names rows around it: those it meets by keys; any other row at random."""
        if isinstance(query, SetOperation):
            return 1.0 if self._query(query, None).rows >= 1 else 0.0
        mine = sources_of(query.source)
        terms = terms_of(query.where)
        own = tuple(term for term in terms if reads_only(term, mine))
        flow, rest = self._relation(query.source, own, None)
        flow = filtered(flow, tuple(rest), self._share)
        outer = [term for term in terms if all(term is not each for each in own)]
        share = 1.0 - math.exp(-flow.rows)
        for term in outer:
            sides = getattr(term, "arguments", ())
            inner = next((side for side in sides if isinstance(side, ColumnRef) and side.source in mine), None)
            other = next((side for side in sides if isinstance(side, ColumnRef) and side.source not in mine), None)
            if inner is None or other is None:
                share *= 0.5
                continue
            most = max(flow.domain(inner, self._share), self._domain_of(other))
            share = min(share, flow.distinct(inner, self._share) / max(most, 1.0))
        return share


_ANY = Field(name="", datatype=DataType.DOUBLE)


def _column(number: int) -> ColumnRef:
    """An output of the query just walked."""
    return ColumnRef(-1, number, _ANY)


def _stacked(one: Frame, two: Frame) -> Frame:
    columns = {
        key: pa.concat_arrays([column, two.columns[key].cast(column.type, safe=False)])
        for key, column in one.columns.items()
    }
    return Frame(columns, one.size + two.size)


def _cut(flow: Flow, offset: int | None, limit: int | None) -> Flow:
    if offset is None and limit is None:
        return flow
    rows = max(flow.rows - (offset or 0), 0.0)
    sure = limit is not None and flow.rows / flow.spread - (offset or 0) > limit
    rows = min(rows, float(limit)) if limit is not None else rows
    size = min(flow.frame.size, math.ceil(rows))
    frame = flow.frame.take(np.arange(size, dtype=np.int64))
    whole = flow.complete and size == flow.frame.size  # otherwise it is not known which rows are left
    return replace(flow, rows=rows, frame=frame, complete=whole, spread=1.0 if sure else flow.spread)
