"""Uploaded file -> Parquet: typed, described, with an index of positions, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pachon.core.errors import LimitError, UsageError
from pachon.core.fields import arrow_schema
from pachon.core.healpix import spatial_index
from pachon.queries.uploads.columns import UploadedColumn, position_columns, uploaded_columns
from pachon.queries.uploads.models import UploadedTable, UploadLimits
from pachon.queries.uploads.sniffing import open_file, unpack
from pachon.queries.uploads.storage import check_room
from pachon.releases.hats.layout import SPATIAL_INDEX_COLUMN
from pachon.releases.importing.casting import cast, explain
from pachon.releases.importing.models import Source, UnreadableFileError

_POLE_DEG = 90.0
_GROUP_ROWS = 131_072
_GROUP_BYTES = 64 * 1024**2
_MOST_TIMES_LARGER = 4
"""How much larger than what was sent may be what is written."""


def convert(name: str, raw: Path, limits: UploadLimits) -> UploadedTable:
    """Convert one file to Parquet, beside it.

    Parameters
    ----------
    name
        Of the table, for messages.

    Raises
    ------
    UsageError
        What is wrong with it, with row and column.
    LimitError
        If it is larger than allowed.
    UnavailableError
        If the disk is too full.
    """
    row: int | None = None
    try:
        source = open_file(unpack(raw, max_bytes=limits.max_bytes))
        return _Conversion(name, source, limits).write(raw.with_suffix(".parquet"))
    except UnreadableFileError as error:
        row, message = error.row, error.message
        kind: type[UsageError] = UsageError
    except LimitError as error:
        kind, message = LimitError, error.message
    place = "" if row is None else f", row {row:,}"
    raise kind(f"Upload '{name}'{place}: {message}", parameter="UPLOAD") from None


class _Conversion:
    def __init__(self, name: str, source: Source, limits: UploadLimits) -> None:
        self._source = source
        self._limits = limits
        self._name = name
        self._columns = uploaded_columns(source, max_columns=limits.max_columns)
        self._fields = tuple(column.field for column in self._columns)
        self._position = position_columns(self._fields)
        self._wide: set[str] = set()
        self._rows = 0

    def write(self, path: Path) -> UploadedTable:
        schema = arrow_schema(self._fields)
        if self._position is not None:
            schema = schema.append(pa.field(SPATIAL_INDEX_COLUMN, pa.int64()))
        with pq.ParquetWriter(path, schema, compression="snappy", write_statistics=True) as writer:
            for group in _groups(self._converted(schema)):
                check_room(path.parent, self._limits)
                writer.write_table(group, row_group_size=_GROUP_ROWS)
                if path.stat().st_size > _MOST_TIMES_LARGER * self._limits.max_bytes:
                    raise LimitError("the table is larger than allowed when it is unpacked; send fewer rows.")
        ra, dec = self._position or (None, None)
        fields = tuple(
            replace(field, is_unicode=field.is_unicode or field.name in self._wide) for field in self._fields
        )
        return UploadedTable(
            name=self._name, path=path, fields=fields, row_count=self._rows, ra_column=ra, dec_column=dec
        )

    def _converted(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for batch in self._source.batches():
            if self._rows + batch.num_rows > self._limits.max_rows:
                raise LimitError(f"the table has more than the {self._limits.max_rows:,} rows allowed.")
            values = [self._values(batch, column) for column in self._columns]
            self._wide |= {field.name for field, found in zip(self._fields, values, strict=True) if _is_wide(found)}
            if self._position is not None:
                values.append(_index(*(values[schema.get_field_index(name)] for name in self._position)))
            yield pa.RecordBatch.from_arrays(values, schema=schema)
            self._rows += batch.num_rows

    def _values(self, batch: pa.RecordBatch, column: UploadedColumn) -> pa.Array:
        found = batch.column(column.place)
        if found.type == column.field.arrow_type and not pa.types.is_floating(found.type):
            return found
        result = cast(found, column.field)
        if result.wrong_rows:
            row = result.wrong_rows[0]
            _, message = explain(found[row].as_py(), column.field)
            raise UnreadableFileError(f"column '{column.field.name}': {message}", row=self._rows + row + 1)
        return result.values


def _is_wide(values: pa.Array) -> bool:
    """Whether letters stand in texts that `char` does not have (VOTable 1.4, section 2.1)."""
    return pa.types.is_string(values.type) and pc.all(pc.string_is_ascii(values)).as_py() is False


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches gathered to row groups."""
    waiting: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    for batch in batches:
        waiting.append(batch)
        rows, size_bytes = rows + batch.num_rows, size_bytes + batch.nbytes
        if rows >= _GROUP_ROWS or size_bytes >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, rows, size_bytes = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _index(ra: pa.Array, dec: pa.Array) -> pa.Array:
    """Order 29 index of each position, NULL where there is none."""
    ra_deg, dec_deg = (
        values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64) for values in (ra, dec)
    )
    is_known = np.isfinite(ra_deg) & (np.abs(dec_deg) <= _POLE_DEG)
    index = np.zeros(len(ra_deg), dtype=np.int64)
    index[is_known] = spatial_index(ra_deg[is_known] % 360.0, dec_deg[is_known])
    return pa.array(index, mask=~is_known)
