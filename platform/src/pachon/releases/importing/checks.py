"""Looks at the rows of one file: casts them to the table's columns and finds what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.fields import arrow_schema
from pachon.releases.importing.casting import cast, explain
from pachon.releases.importing.columns import ColumnPlan
from pachon.releases.importing.findings import Findings
from pachon.releases.importing.models import Finding, Problem
from pachon.releases.models import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FULL_CIRCLE_DEG = 360.0
_POLE_DEG = 90.0


@dataclass(slots=True)
class RowChecker:
    """Checks the rows of a file in order.

    Parameters
    ----------
    file
        Its name, for findings.
    rows_done
        Rows of the file that came before.
    """

    file: str
    table: Table
    plans: tuple[ColumnPlan, ...]
    findings: Findings
    rows_done: int = 0

    def checked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with the columns of the table; what is wrong is added to the findings and null in the result."""
        columns = [self._column(batch.column(plan.source), plan) for plan in self.plans]
        result = pa.RecordBatch.from_arrays(columns, schema=arrow_schema(tuple(plan.field for plan in self.plans)))
        if self.table.ra_column is not None and self.table.dec_column is not None:
            self._check_position(result, self.table.ra_column, self.table.dec_column)
        self.rows_done += len(batch)
        return result

    def _column(self, values: pa.Array, plan: ColumnPlan) -> pa.Array:
        result = cast(values, plan.field, convert=plan.convert)
        for wrong in result.wrong_rows:
            problem, message = explain(values[wrong].as_py(), plan.field)
            self._add(problem, wrong, plan.field.name, message)
        if plan.is_required and result.values.null_count:
            missing = result.values.is_null().to_numpy(zero_copy_only=False)
            missing[list(result.wrong_rows)] = False
            for row in np.flatnonzero(missing):
                self._add(
                    Problem.MISSING_VALUE, row, plan.field.name, "there is no value, and the column must have one."
                )
        if pa.types.is_floating(result.values.type):
            for row in np.flatnonzero(pc.fill_null(pc.is_inf(result.values), fill_value=False)):
                message = "the value is infinite; leave it empty where there is none."
                self._add(Problem.INFINITE, row, plan.field.name, message)
        return result.values

    def _check_position(self, batch: pa.RecordBatch, ra_column: str, dec_column: str) -> None:
        ra_deg, dec_deg = (_numbers(batch.column(name)) for name in (ra_column, dec_column))
        for row in np.flatnonzero(np.isfinite(ra_deg) & ~((ra_deg >= 0) & (ra_deg < _FULL_CIRCLE_DEG))):
            remedy = "write 0 instead" if ra_deg[row] == _FULL_CIRCLE_DEG else "add or subtract whole circles"
            message = f"{ra_deg[row]:.10g} is no right ascension: 0 <= RA < 360; {remedy}."
            self._add(Problem.WRONG_POSITION, row, ra_column, message)
        for row in np.flatnonzero(np.isfinite(dec_deg) & (np.abs(dec_deg) > _POLE_DEG)):
            message = f"{dec_deg[row]:.10g} is no declination: -90 <= Dec <= 90."
            self._add(Problem.WRONG_POSITION, row, dec_column, message)

    def _add(self, problem: Problem, row: int | np.integer, column: str, message: str) -> None:
        number = self.rows_done + int(row) + 1
        self.findings.add(Finding(problem=problem, file=self.file, row=number, column=column, message=message))


def _numbers(values: pa.Array) -> NDArray[np.float64]:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
