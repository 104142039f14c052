"""How many groups or different rows there are, and some of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pachon.queries.estimate.flow import Flow
from pachon.queries.estimate.statistics import distinct_values
from pachon.queries.estimate.values import Evaluator, Oracle
from pachon.queries.plan import Aggregate, AggregateOp, Expression


def group_numbers(flow: Flow, keys: tuple[Expression, ...], oracle: Oracle) -> NDArray[np.int64]:
    """The number of each sample row's group, from 0; NULL is a value like others."""
    evaluator = Evaluator(flow.frame, oracle)
    numbers = np.zeros(flow.frame.size, dtype=np.int64)
    for key in keys:
        column = evaluator.column(key)
        if pa.types.is_nested(column.type):
            return np.arange(flow.frame.size)
        codes = column.dictionary_encode(null_encoding="encode").indices
        values = np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int64)
        numbers = np.unique(numbers * (int(values.max(initial=0)) + 1) + values, return_inverse=True)[1]
    return numbers


def group_count(flow: Flow, keys: tuple[Expression, ...], numbers: NDArray[np.int64], oracle: Oracle) -> float:
    """How many groups all rows have (`distinct_values` for the estimator)."""
    if flow.complete or not flow.frame.size:
        return float(len(np.unique(numbers))) if flow.frame.size else flow.rows
    if len(keys) == 1:
        has_null = int(Evaluator(flow.frame, oracle).column(keys[0]).null_count > 0)
        return max(flow.distinct(keys[0], oracle) + has_null, 1.0)
    return max(distinct_values(pa.array(numbers), flow.rows), 1.0)


class Grouped:
    """Groups of a flow: one row a group, and its aggregates, counts scaled from the sample to all rows."""

    def __init__(self, flow: Flow, numbers: NDArray[np.int64], oracle: Oracle) -> None:
        self._flow = flow
        self._numbers = numbers
        self._oracle = oracle
        _, first, self._member, counts = np.unique(numbers, return_index=True, return_inverse=True, return_counts=True)
        self.frame = flow.frame.take(first.astype(np.int64))
        self.counts = counts
        self._scale = flow.rows / max(flow.frame.size, 1)

    def evaluator(self) -> Evaluator:
        """Computes expressions of the groups."""
        return Evaluator(self.frame, self._oracle, self.aggregate)

    def aggregate(self, aggregate: Aggregate) -> pa.Array:
        """One value a group."""
        groups = self.frame.size
        if aggregate.argument is None:
            return pa.array(np.round(self.counts * self._scale).astype(np.int64))
        values = Evaluator(self._flow.frame, self._oracle).column(aggregate.argument)
        table = pa.table({"group": pa.array(self._member.ravel()), "value": values})
        name = {
            AggregateOp.AVG: "mean",
            AggregateOp.COUNT: "count_distinct" if aggregate.distinct else "count",
            AggregateOp.STRING_AGG: "max",
        }
        function = name.get(aggregate.op, aggregate.op.value)
        done = table.group_by("group").aggregate([("value", function)]).sort_by("group")
        found = done.column(f"value_{function}").combine_chunks()
        if aggregate.op in {AggregateOp.COUNT, AggregateOp.SUM} and not aggregate.distinct:
            scaled = np.asarray(found.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.float64) * self._scale
            found = pa.array(scaled)
        return found.cast(aggregate.field.arrow_type, safe=False) if groups else pa.nulls(0, aggregate.field.arrow_type)

    def having(self, condition: Expression, groups: float) -> tuple[Grouped, float]:
        """The groups for which a condition is true, and how many: those the sample missed are like the rarest."""
        passes = self.evaluator().mask(condition)
        rare = self.counts == 1
        missed = max(groups - len(passes), 0.0) * (float(passes[rare].mean()) if rare.any() else 0.0)
        rows = np.flatnonzero(passes[self._member.ravel()]).astype(np.int64)
        flow = replace(self._flow, frame=self._flow.frame.take(rows), rows=len(rows) * self._scale)
        return Grouped(flow, self._numbers[rows], self._oracle), float(passes.sum()) + missed
