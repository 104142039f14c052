"""Rows of a kept result: those that filters let through, sorted, a page at a time. Memory holds one page.

To sort, the values of the sorted columns are held as well, and nothing else of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon.core.errors import LimitError, UsageError
from pachon.core.fields import DataType, Field, arrow_schema
from pachon.queries.jobs.spool import SpooledRows
from pachon.queries.saved.filtering import Condition
from pachon.queries.saved.view_state import SortKey

MAX_SORTED_PAGE = 50_000
PLACE = Field(
    name="row place", datatype=DataType.LONG, nullable=False, description="Place in the whole result, from 0."
)
"""Its name is none that a column of a result has: names in ADQL results hold no space unless people ask for one."""
_MAX_SORTED_ROWS = 5_000_000
_MAX_SORTED_BYTES = 512 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of a result.

    Parameters
    ----------
    columns
        Names in the order wanted; None for all.
    condition
        Which rows; None for all.
    limit
        At most this many rows; None for all.
    has_places
        Whether the first column tells the place of each row in the whole result.
    """

    columns: tuple[str, ...] | None = None
    condition: Condition | None = None
    sort: tuple[SortKey, ...] = ()
    offset: int = 0
    limit: int | None = None
    has_places: bool = False


class WindowRows:
    """A part of a result; keeps the promise of `vo.http.ClosableRows`. Must be closed; read it once.

    Parameters
    ----------
    open_rows
        Opens the whole result; done twice to sort.

    Raises
    ------
    UsageError
        If a column is not there.
    LimitError
        If a sorted page is too long.
    """

    def __init__(self, open_rows: Callable[[], SpooledRows], window: Window) -> None:
        if window.sort and (window.limit is None or window.limit > MAX_SORTED_PAGE):
            raise LimitError(f"limit must be given to sort, and be at most {MAX_SORTED_PAGE}.", parameter="limit")
        self._open_rows = open_rows
        self._window = window
        self._rows = open_rows()
        self.execution_id = self._rows.execution_id
        self.warnings = self._rows.warnings
        self.overflow = self._rows.overflow
        try:
            self.fields = self._chosen()
            named = [key.column for key in window.sort]
            field_places(self._rows.fields, named)
            if window.condition is not None:
                window.condition.check(self._rows.fields)
        except BaseException:
            self._rows.close()
            raise
        self.batches = self._sorted() if window.sort else self._flow()

    def close(self) -> None:
        """Stop reading. Safe to call more than once."""
        self._rows.close()

    def count(self) -> int:
        """How many rows pass the filters, whatever the page."""
        return sum(batch.num_rows for batch in self._passing())

    def _chosen(self) -> tuple[Field, ...]:
        fields = self._rows.fields
        if self._window.columns is not None:
            fields = tuple(fields[place] for place in field_places(fields, self._window.columns))
        return (PLACE, *fields) if self._window.has_places else fields

    def _passing(self) -> Iterator[pa.RecordBatch]:
        condition, first = self._window.condition, 0
        for batch in self._rows.batches:
            whole = self._with_places(batch, first)
            yield whole if condition is None else whole.filter(condition.mask(batch, first=first))
            first += batch.num_rows

    def _with_places(self, batch: pa.RecordBatch, first: int) -> pa.RecordBatch:
        if not self._window.has_places:
            return batch
        places = np.arange(first, first + batch.num_rows, dtype=np.int64)
        return batch.append_column(PLACE.name, pa.array(places))

    def _flow(self) -> Iterator[pa.RecordBatch]:
        window, schema = self._window, arrow_schema(self.fields)
        skip, room = window.offset, window.limit
        for batch in self._passing():
            part = batch.slice(skip, room)
            skip = max(0, skip - batch.num_rows)
            if part.num_rows:
                yield _picked(part, schema)
            if room is not None:
                room -= part.num_rows
                if not room:
                    return

    def _sorted(self) -> Iterator[pa.RecordBatch]:
        """First the sorted columns alone, for the order; then the rows of the page."""
        window = self._window
        order = self._order()
        wanted = order.slice(window.offset, window.limit)
        self._rows.close()
        self._rows = self._open_rows()
        parts, first = [], 0
        schema = arrow_schema(self.fields)
        for batch in self._passing():
            here = pc.and_(pc.greater_equal(wanted, first), pc.less(wanted, first + batch.num_rows))
            places = pc.subtract(wanted.filter(here), first)
            if len(places):
                parts.append((wanted.filter(here), _picked(batch, schema).take(places)))
            first += batch.num_rows
        if parts:
            found = pa.concat_arrays([places for places, _ in parts])
            rows = pa.Table.from_batches([rows for _, rows in parts], schema=schema)
            ordered = rows.take(pc.index_in(wanted, value_set=found)).combine_chunks()
            yield from ordered.to_batches()

    def _order(self) -> pa.Array:
        """Places of all rows that pass, in order."""
        names = list(dict.fromkeys(key.column for key in self._window.sort))
        places = {name: number for number, name in enumerate(names)}
        keys, row_count, size_bytes = [], 0, 0
        for batch in self._passing():
            part = batch.select(names)
            row_count, size_bytes = row_count + part.num_rows, size_bytes + part.nbytes
            if row_count > _MAX_SORTED_ROWS or size_bytes > _MAX_SORTED_BYTES:
                message = f"A result is sorted up to {_MAX_SORTED_ROWS} rows; narrow it by filters first."
                raise LimitError(message, parameter="sort")
            keys.append(part)
        if not row_count:
            return pa.array([], pa.uint64())
        names = [str(number) for number in range(len(names) + 1)]
        table = pa.Table.from_batches(keys)
        table = pa.table([*table.columns, pa.array(np.arange(row_count, dtype=np.uint64))], names=names)
        by = [(str(places[key.column]), "descending" if key.descending else "ascending") for key in self._window.sort]
        return pc.sort_indices(table, sort_keys=[*by, (names[-1], "ascending")])


def field_places(fields: tuple[Field, ...], names: list[str] | tuple[str, ...]) -> list[int]:
    """Where columns are.

    Raises
    ------
    UsageError
        If one is not there, with those that are.
    """
    places = {field.name: index for index, field in enumerate(fields)}
    for name in names:
        if name not in places:
            known = ", ".join(list(places)[:20])
            raise UsageError(f"The result has no column '{name[:80]}'; it has {known}.", parameter="columns")
    return [places[name] for name in names]


def _picked(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return batch.select(schema.names).cast(schema)
