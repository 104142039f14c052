"""Selections in ADQL, evaluated on a kept result by the engine that evaluates all ADQL.

The kept rows become a table for the moment of one query, as an upload does: the columns that the condition may name,
and the place of each row. So a condition means here what it means in WHERE, and sees nothing but these rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pachon.core.errors import LimitError, QuerySyntaxError, UsageError
from pachon.core.fields import DataType, Field, arrow_schema
from pachon.queries.adql.bind import Catalogue, bind
from pachon.queries.engines.engine import Engine, OutgrownError
from pachon.queries.jobs.spool import SpooledRows
from pachon.queries.plan import UPLOAD_SCHEMA, Plan
from pachon.queries.saved.filtering import Mask
from pachon.releases.hats.layout import PLAIN_ORDER
from pachon.releases.models import Column, Partition, Snapshot, Table

_TABLE = "kept"
_FIRST_LINE = 2
_REMEMBERED = 8


class Place(Protocol):
    """A folder for one query that the engine may read; `queries.uploads.storage.UploadSet` is one."""

    @property
    def folder(self) -> Path:
        """Made by whoever writes to it."""
        ...

    def remove(self) -> None:
        """Delete all files."""
        ...


class AdqlSelector:
    """Finds the rows for which a condition in ADQL holds. Blocking, and safe to use from many threads.

    Parameters
    ----------
    engine
        Evaluates the condition.
    new_place
        Makes a folder that the engine may read.
    timeout_s
        How long it may take.
    """

    def __init__(self, engine: Engine, new_place: Callable[[], Place], *, timeout_s: float) -> None:
        self._engine, self._new_place, self._timeout_s = engine, new_place, timeout_s
        self._known: OrderedDict[tuple[str, str], Mask] = OrderedDict()
        self._turn = threading.Lock()

    def rows(self, result_id: str, open_rows: Callable[[], SpooledRows], condition: str) -> Mask:
        """For which rows a condition holds, shape (rows,); the answers given last are remembered.

        Parameters
        ----------
        result_id
            Tells results apart, which never change.
        open_rows
            Opens the result.

        Raises
        ------
        UsageError
            If the condition is wrong, with its place in the condition.
        LimitError, UnavailableError
            If it takes too long, or no worker is free.
        """
        key = (result_id, condition)
        with self._turn:
            found = self._known.get(key)
        if found is None:
            found = self._found(open_rows, condition)
        with self._turn:
            self._known[key] = found
            self._known.move_to_end(key)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    def _found(self, open_rows: Callable[[], SpooledRows], condition: str) -> Mask:
        kept, place = open_rows(), self._new_place()
        try:
            fields = _named(kept.fields, condition)
            numbers = Field(name=_free_name(kept.fields), datatype=DataType.LONG)
            path = place.folder / "kept.parquet"
            snapshot = Snapshot(_table((*fields, numbers)), (Partition(PLAIN_ORDER, 0, path, 0),))
            bound(snapshot, numbers.name, condition)
            place.folder.mkdir(mode=0o700, exist_ok=True)
            row_count = _write(path, (*fields, numbers), kept)
            snapshot = Snapshot(snapshot.table, (Partition(PLAIN_ORDER, 0, path, row_count),))
            return self._run(bound(snapshot, numbers.name, condition, max_rows=row_count), row_count)
        finally:
            kept.close()
            place.remove()

    def _run(self, plan: Plan, row_count: int) -> Mask:
        mask = np.zeros(row_count, dtype=bool)
        run = self._engine.execute(plan, timeout_s=self._timeout_s)
        try:
            for batch in run:
                mask[np.asarray(batch.column(0).drop_null())] = True
        except OutgrownError:
            raise LimitError("The selection takes too much to evaluate on these rows; make it simpler.") from None
        finally:
            run.close()
        return mask


def bound(snapshot: Snapshot, numbers: str, condition: str, *, max_rows: int | None = None) -> Plan:
    """The plan that finds the places of rows.

    Raises
    ------
    UsageError
        If the condition is wrong, with its place in the condition.
    """
    table = snapshot.table
    catalogue = Catalogue({table.qualified_name: table}, lambda _: snapshot)
    text = f"SELECT {numbers} FROM {table.qualified_name} WHERE (\n{condition}\n)"  # noqa: S608 -- ADQL, of which the binder admits what reads this one table
    try:
        return bind(text, catalogue, max_rows=max_rows)
    except QuerySyntaxError as error:
        raise _explained(error) from None


def _explained(error: QuerySyntaxError) -> UsageError:
    """The same, with the line counted from the beginning of the condition."""
    message, position = error.message, error.position
    if position is not None:
        at = f"line {max(1, position.line - _FIRST_LINE + 1)}, column {position.column}"
        message = f"{at}: {message.removeprefix(f'{position}: ')}"
    return UsageError(f"The selection of the view is no condition on the columns of the result: {message}")


def _named(fields: tuple[Field, ...], condition: str) -> tuple[Field, ...]:
    """The columns whose names stand in a condition, and perhaps some more."""
    text = condition.lower().replace('""', '"')
    return tuple(field for field in fields if field.name.lower() in text)


def _free_name(fields: tuple[Field, ...]) -> str:
    taken = {field.name.lower() for field in fields}
    name = "row_place"
    while name in taken:
        name += "_"
    return name


def _table(fields: tuple[Field, ...]) -> Table:
    columns = tuple(Column(field=field) for field in fields)
    return Table(schema=UPLOAD_SCHEMA, name=_TABLE, description="Rows of a kept result.", columns=columns)


def _write(path: Path, fields: tuple[Field, ...], kept: SpooledRows) -> int:
    """Write the columns and the places of the rows; returns how many there are."""
    first = 0
    schema = arrow_schema(fields)
    with pq.ParquetWriter(path, schema, compression="snappy") as writer:
        for batch in _numbered(kept, [field.name for field in fields[:-1]], schema):
            writer.write_batch(batch)
            first += batch.num_rows
    return first


def _numbered(kept: SpooledRows, names: list[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    first = 0
    for batch in kept.batches:
        places: pa.Array = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
        columns: list[Any] = [batch.column(name) for name in names]
        yield pa.RecordBatch.from_arrays([*columns, places], schema=schema)
        first += batch.num_rows
