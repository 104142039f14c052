"""Plans that are surely short, told by their shape and the sizes of files alone, in microseconds.

Most queries are cones, identifiers and first looks. Estimating takes some ten milliseconds, more than many of them run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from pachon.queries.estimate.models import Load, TimeClass
from pachon.queries.plan import (
    Aggregate,
    Call,
    Exists,
    Expression,
    IndexRanges,
    InQuery,
    MemorySnapshot,
    Plan,
    Scan,
    Select,
)
from pachon.releases.hats.layout import index_range
from pachon.releases.models import Partition

_FEW_ROWS = 1_000_000
"""So many rows are read, computed with and sorted well within a second."""
_UNKNOWN_ROWS = _FEW_ROWS + 1
_FEW_CELLS = 5_000_000
_MANY_TERMS = 60
_ROW_S = 5e-8
_START_S = 0.01


def quick_load(plan: Plan) -> Load | None:
    """The load of a plan that reads few rows of one table; None if that cannot be told without statistics."""
    select = plan.query
    if plan.named or not isinstance(select, Select) or not isinstance(select.source, Scan) or _is_wide(select):
        return None
    rows = _first_rows(select, plan.max_rows)
    if rows is None or rows * len(select.outputs) > _FEW_CELLS:
        rows = _rows_at_most(select.source)
    return Load(TimeClass.SHORT, _START_S + rows * _ROW_S) if rows <= _FEW_ROWS else None


def _first_rows(select: Select, max_rows: int | None) -> int | None:
    """How many rows are read if they are read until there are enough."""
    limits = [limit for limit in (select.limit, max_rows) if limit is not None]
    streams = select.where is None and select.groups is None and not select.distinct and not select.order
    return min(limits) + (select.offset or 0) if streams and limits else None


def _rows_at_most(scan: Scan) -> int:
    snapshot = scan.snapshot
    if isinstance(snapshot, MemorySnapshot):
        return int(snapshot.rows.num_rows)
    read = (part for part in snapshot.partitions if scan.ranges is None or _meets(part, scan.ranges))
    return sum(part.row_count if part.row_count >= 0 else _UNKNOWN_ROWS for part in read)


def _meets(part: Partition, ranges: IndexRanges) -> bool:
    first, end = index_range(part)
    place = bisect_left(ranges, first, key=lambda each: each[1] - 1)
    return place < len(ranges) and ranges[place][0] < end


def _is_wide(select: Select) -> bool:
    """Whether the expressions hold a query, or are so many that rows alone do not tell the time."""
    seen = 0
    expressions = (*(output.expression for output in select.outputs), select.where, select.having)
    for root in (*expressions, *(select.groups or ()), *(ordering.expression for ordering in select.order)):
        for expression in _inside(root):
            seen += isinstance(expression, Call | Aggregate)
            if seen > _MANY_TERMS or isinstance(expression, InQuery | Exists):
                return True
    return False


def _inside(root: Expression | None) -> Iterator[Expression]:
    waiting = [] if root is None else [root]
    while waiting:
        expression = waiting.pop()
        yield expression
        if isinstance(expression, Call):
            waiting.extend(expression.arguments)
        elif isinstance(expression, Aggregate) and expression.argument is not None:
            waiting.append(expression.argument)
