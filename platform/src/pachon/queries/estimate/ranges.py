"""Value ranges of the columns of stored tables, for those who describe tables.

They are told as they are learnt in the background, never because somebody asked: who looks at them learns nothing of
what others do.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pachon.queries.estimate.statistics import TableStatistics
from pachon.releases.models import Table


class ValueRange(NamedTuple):
    """The least and the greatest value of a column; integers beyond 2^53 are rounded."""

    least: float
    greatest: float


class ValueRanges:
    """Ranges by table, as they were last learnt. Safe to use from several threads.

    Attributes
    ----------
    version
        Grows when a range changes.
    """

    def __init__(self) -> None:
        self.version = 0
        self._known: dict[str, Mapping[str, ValueRange]] = {}
        self._lock = threading.Lock()

    def learn(self, table: Table, statistics: TableStatistics) -> None:
        """Take the extremes of a table's columns from its statistics."""
        found = _ranges(table, statistics)
        with self._lock:
            if self._known.get(table.qualified_name) != found:
                self._known[table.qualified_name] = found
                self.version += 1

    def of(self, table: Table) -> Mapping[str, ValueRange]:
        """The ranges known of a table, by column; texts, times, flags, arrays and columns without values have none."""
        return self._known.get(table.qualified_name, {})


def _ranges(table: Table, statistics: TableStatistics) -> dict[str, ValueRange]:
    """The extremes of all chunks, each of which was widened to the next double when it was learnt."""
    if not len(statistics.least):
        return {}
    least = np.nextafter(np.fmin.reduce(statistics.least, axis=0), np.inf)
    greatest = np.nextafter(np.fmax.reduce(statistics.greatest, axis=0), -np.inf)
    columns = zip(table.columns, least.tolist(), greatest.tolist(), strict=False)  # after them: the spatial index
    return {
        column.name: ValueRange(low + 0.0, high + 0.0)  # no negative zero
        for column, low, high in columns
        if column.field.datatype.is_numeric and low <= high
    }
