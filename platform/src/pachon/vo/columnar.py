"""Parquet and Arrow IPC: the fast road for Python readers. Both carry the description as a VOTable without rows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from pachon.core.fields import Field
from pachon.vo import cells, votable
from pachon.vo.models import Heading, Rows

_ROWS_PER_GROUP = 131_072
_BYTES_PER_GROUP = 64 * 1024**2
_STATUS, _WARNINGS = "QUERY_STATUS", "WARNINGS"


class _Outlet:
    """A file to write to whose content is taken away as it comes."""

    closed = False

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """What was written can still be taken."""

    def take(self) -> bytes:
        """What was written since the last time."""
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)


def write_parquet(rows: Rows, heading: Heading) -> Iterator[bytes]:
    """A Parquet file (zstd); the key `QUERY_STATUS` of its footer is OK or OVERFLOW."""
    outlet = _Outlet()
    with pq.ParquetWriter(pa.PythonFile(outlet, "w"), _schema(rows.fields, heading), compression="zstd") as writer:
        for table in _row_groups(rows):
            writer.write_table(table)
            yield outlet.take()
        writer.add_key_value_metadata({_STATUS: _status(rows)})
    yield outlet.take()


def write_arrow(rows: Rows, heading: Heading) -> Iterator[bytes]:
    """An Arrow IPC stream; it ends with an empty batch whose metadata `QUERY_STATUS` is OK or OVERFLOW."""
    outlet = _Outlet()
    schema = _schema(rows.fields, heading)
    with pa.ipc.new_stream(pa.PythonFile(outlet, "w"), schema) as writer:
        for batch in cells.parts(rows.batches):
            writer.write_batch(batch.cast(schema))
            yield outlet.take()
        end = pa.RecordBatch.from_pylist([], schema=schema)
        writer.write_batch(end, custom_metadata={_STATUS: _status(rows)})
    yield outlet.take()


def _row_groups(rows: Rows) -> Iterator[pa.Table]:
    """Batches gathered to row groups of a size that readers like."""
    waiting: list[pa.RecordBatch] = []
    schema = pa.schema(_arrow_fields(rows.fields))
    for batch in cells.parts(rows.batches):
        waiting.append(batch.cast(schema))
        rows_waiting, bytes_waiting = (
            sum(sizes) for sizes in zip(*((b.num_rows, b.nbytes) for b in waiting), strict=True)
        )
        if rows_waiting >= _ROWS_PER_GROUP or bytes_waiting >= _BYTES_PER_GROUP:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _schema(fields: tuple[Field, ...], heading: Heading) -> pa.Schema:
    """The Arrow schema with the description as metadata (VOParquet 1.0), and `WARNINGS`, a JSON list, if there are."""
    metadata = {
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": votable.empty_document(fields, heading),
    }
    if warnings := [info.value for info in heading.infos if info.name == "warning"]:
        metadata[_WARNINGS] = json.dumps(warnings)
    return pa.schema(_arrow_fields(fields), metadata=metadata)


def _arrow_fields(fields: tuple[Field, ...]) -> list[pa.Field]:
    """Arrow fields that carry unit, UCD and description of their columns."""
    return [pa.field(field.name, field.arrow_type, metadata=_labels(field)) for field in fields]


def _labels(field: Field) -> dict[str, str]:
    labels = {"unit": field.unit, "ucd": field.ucd, "description": field.description}
    return {name: text for name, text in labels.items() if text}


def _status(rows: Rows) -> str:
    return "OVERFLOW" if rows.overflow else "OK"
