"""Rows on their way through a plan: how many there are, and some of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pachon.queries.estimate.statistics import TableStatistics, distinct_values
from pachon.queries.estimate.terms import comparison
from pachon.queries.estimate.values import Evaluator, Frame, Key, Oracle
from pachon.queries.plan import Call, ColumnRef, Expression, Literal, Op

ENOUGH = 8
"""With fewer rows of the sample, formulas decide."""
MOST_ROWS = 1e18
"""More is not told apart."""
_UNKNOWN_SHARE = 0.1


@dataclass(slots=True)
class Flow:
    """Rows on their way.

    Parameters
    ----------
    rows
        How many there are expected to be.
    frame
        Some of them.
    complete
        Whether the frame holds all of them.
    spread
        The true number is expected between `rows / spread` and `rows * spread`.
    origins
        Statistics of the columns that come straight from a stored table.
    """

    rows: float
    frame: Frame
    complete: bool = False
    spread: float = 1.0
    origins: dict[Key, tuple[TableStatistics, int]] = field(default_factory=dict)

    def distinct(self, expression: Expression, oracle: Oracle) -> float:
        """How many different values an expression has among these rows, NULL not counted."""
        if not self.frame.size:
            return self.rows
        values = Evaluator(self.frame, oracle).column(expression)
        return float(min(distinct_values(values, self.rows), self.rows))

    def domain(self, expression: Expression, oracle: Oracle) -> float:
        """How many different values it could have: those of the whole column it comes from."""
        if isinstance(expression, Call) and expression.op is Op.CAST:
            expression = expression.arguments[0]
        if isinstance(expression, ColumnRef) and (expression.source, expression.index) in self.origins:
            statistics, index = self.origins[expression.source, expression.index]
            return max(statistics.distinct(index), 1.0)
        return max(self.distinct(expression, oracle), 1.0)

    def known_share(self, expression: Expression, oracle: Oracle) -> float:
        """The share of rows for which an expression is not NULL."""
        if not self.frame.size:
            return 1.0
        return 1.0 - int(Evaluator(self.frame, oracle).column(expression).null_count) / self.frame.size

    def scaled(self, rows: float, *, spread: float = 1.0) -> Flow:
        """The same sample standing for another number of rows."""
        return replace(self, rows=min(max(rows, 0.0), MOST_ROWS), spread=min(self.spread * spread, 1e6))


def filtered(flow: Flow, terms: tuple[Expression, ...], oracle: Oracle) -> Flow:
    """The rows for which all terms are true.

    Counted in the sample if enough of it remain; otherwise the terms are taken as independent, and a comparison of a
    column with a constant is placed between the values of the sample.
    """
    if not terms:
        return flow
    evaluator = Evaluator(flow.frame, oracle)
    masks = [evaluator.mask(term) for term in terms]
    every = np.logical_and.reduce(masks)
    hits, size = int(every.sum()), flow.frame.size
    kept = replace(flow, complete=False, frame=flow.frame.take(np.flatnonzero(every).astype(np.int64)))
    if flow.complete and not evaluator.has_guessed:
        return replace(kept, rows=float(hits), complete=True)
    if hits >= ENOUGH:
        return kept.scaled(flow.rows * hits / size, spread=1 + 1.7 / math.sqrt(hits))
    share = math.prod(_share(term, mask, flow=flow, oracle=oracle) for term, mask in _ranges_joined(terms, masks))
    return kept.scaled(flow.rows * share, spread=4.0)


_Term = tuple[tuple[Expression, ...], NDArray[np.bool_]]


def _ranges_joined(terms: tuple[Expression, ...], masks: list[NDArray[np.bool_]]) -> list[_Term]:
    """Terms with their masks; comparisons of the same column together, for `low <= x AND x < high` is one range."""
    joined: dict[object, _Term] = {}
    for number, (term, mask) in enumerate(zip(terms, masks, strict=True)):
        compared = comparison(term)
        key: object = (compared.column.source, compared.column.index) if compared is not None else number
        before = joined.get(key)
        joined[key] = ((term,), mask) if before is None else ((*before[0], term), before[1] & mask)
    return list(joined.values())


def _share(terms: tuple[Expression, ...], mask: NDArray[np.bool_], *, flow: Flow, oracle: Oracle) -> float:
    hits, size = int(mask.sum()), len(mask)
    if hits >= ENOUGH:
        return hits / size
    if len(terms) == 1 and isinstance(terms[0], Call) and terms[0].op in _COMBINED:
        return _COMBINED[terms[0].op](terms[0], flow, oracle)
    found = [comparison(term) for term in terms]
    known = [each for each in found if each is not None]
    if len(known) == len(terms):
        equal = next((each for each in known if each.op is Op.EQ), None)
        if equal is not None:
            return flow.known_share(equal.column, oracle) / flow.domain(equal.column, oracle)
        between = _between(known[0].column, [(each.op, each.value) for each in known], flow, oracle)
        if between is not None:
            return between
    return (hits + 0.3) / (size + 1) if size else _UNKNOWN_SHARE


def _single(term: Expression, flow: Flow, oracle: Oracle) -> float:
    return _share((term,), Evaluator(flow.frame, oracle).mask(term), flow=flow, oracle=oracle)


def _share_of_in(call: Call, flow: Flow, oracle: Oracle) -> float:
    known = flow.known_share(call.arguments[0], oracle)
    return min(known, known * (len(call.arguments) - 1) / flow.domain(call.arguments[0], oracle))


_COMBINED: dict[Op, Callable[[Call, Flow, Oracle], float]] = {
    Op.AND: lambda call, flow, oracle: math.prod(_single(each, flow, oracle) for each in call.arguments),
    Op.OR: lambda call, flow, oracle: min(1.0, sum(_single(each, flow, oracle) for each in call.arguments)),
    Op.IN: _share_of_in,
}


def _between(column: ColumnRef, bounds: list[tuple[Op, float | str]], flow: Flow, oracle: Oracle) -> float | None:
    """The share of rows within bounds, from the sorted sample and the extremes of the table."""
    if not column.field.datatype.is_numeric or column.field.arraysize is not None:
        return None
    values = Evaluator(flow.frame, oracle).column(column).drop_null()
    if not len(values):
        return None
    sample = np.sort(np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)))
    low, high = -math.inf, math.inf
    for op, value in bounds:
        if isinstance(value, str):
            return None
        low, high = (max(low, value), high) if op in {Op.GT, Op.GE} else (low, min(high, value))
    least, greatest = _extremes(column, flow, sample)
    places = np.concatenate([[least], sample, [greatest]])
    ranks = np.concatenate([[0.0], np.arange(len(sample)) + 0.5, [float(len(sample))]]) / len(sample)
    below, above = np.interp([max(low, least), min(high, greatest)], places, ranks)
    return max(float(above - below), 0.0) * len(values) / flow.frame.size


def _extremes(column: ColumnRef, flow: Flow, sample: NDArray[np.float64]) -> tuple[float, float]:
    origin = flow.origins.get((column.source, column.index))
    if origin is None:
        return float(sample[0]), float(sample[-1])
    statistics, index = origin
    least, greatest = statistics.least[:, index], statistics.greatest[:, index]
    if not np.isfinite(least).any():
        return float(sample[0]), float(sample[-1])
    return min(float(np.nanmin(least)), float(sample[0])), max(float(np.nanmax(greatest)), float(sample[-1]))


def literal_number(expression: Expression) -> float | None:
    """The value of a numeric constant."""
    if isinstance(expression, Literal) and isinstance(expression.value, int | float):
        return float(expression.value)
    return None
