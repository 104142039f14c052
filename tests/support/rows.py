"""An answer held in memory, as writers read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa

from pachon.core.errors import PachonError
from pachon.core.fields import DataType, Field, arrow_schema

EVERY_KIND = (
    Field(name="flag", datatype=DataType.BOOLEAN),
    Field(name="tiny", datatype=DataType.UNSIGNED_BYTE),
    Field(name="small", datatype=DataType.SHORT),
    Field(name="name", datatype=DataType.CHAR, arraysize="*", ucd="meta.id", description="A <name> & more"),
    Field(name="whole", datatype=DataType.INT),
    Field(name="id", datatype=DataType.LONG, ucd="meta.id;meta.main"),
    Field(name="mag", datatype=DataType.FLOAT, unit="mag"),
    Field(name="ra", datatype=DataType.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main"),
    Field(name="at", datatype=DataType.TIMESTAMP),
    Field(name="place", datatype=DataType.DOUBLE, arraysize="2", xtype="point", unit="deg"),
    Field(name="outline", datatype=DataType.DOUBLE, arraysize="*", xtype="polygon", unit="deg"),
)
BIG = 2**53 + 1
FIRST = datetime(2026, 1, 2, 3, 4, 5, 600, UTC).replace(tzinfo=None)
EARLY = datetime(1900, 1, 1, tzinfo=UTC).replace(tzinfo=None)
NAN, INF = float("nan"), float("inf")
HEXAGON = [0.0, 1.0, 2.0, 3.0, 4.0, 5.5]
ROWS = [
    (True, 255, -32768, 'Ve"ga, <&> é\t\\', -1, BIG, 0.1, 279.2347, FIRST, [1.5, -2.5], HEXAGON),
    (False, 0, 7, "", 2**31 - 1, -BIG, INF, -INF, EARLY, [0.1, 0.2], []),
    (None,) * 11,
    (True, 1, 1, " line\nbreak ", 1, 1, NAN, NAN, EARLY, [3.0, 4.0], HEXAGON[::-1]),
]


@dataclass
class HeldRows:
    """Keeps the promise of `vo.models.Rows`; `failure` is raised after the last batch."""

    fields: tuple[Field, ...]
    held: list[pa.RecordBatch]
    overflow: bool = False
    failure: PachonError | None = None
    batches: Iterator[pa.RecordBatch] = field(init=False)

    def __post_init__(self) -> None:
        self.batches = self._flow()

    def _flow(self) -> Iterator[pa.RecordBatch]:
        yield from self.held
        if self.failure is not None:
            raise self.failure


def every_kind(*, overflow: bool = False, failure: PachonError | None = None) -> HeldRows:
    """Rows with every type, null, edge value and troublesome character, in two batches of uneven size."""
    schema = arrow_schema(EVERY_KIND)
    columns = [pa.array(values, field.type) for values, field in zip(zip(*ROWS, strict=True), schema, strict=True)]
    batch = pa.record_batch(columns, schema=schema)
    return HeldRows(EVERY_KIND, [batch.slice(0, 1), batch.slice(1)], overflow=overflow, failure=failure)
