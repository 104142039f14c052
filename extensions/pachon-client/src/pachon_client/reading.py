"""Reading Arrow answers: rows as they come, and at the end whether they are all.

The stream ends with an empty record batch whose custom metadata hold `QUERY_STATUS` (`OK` or `OVERFLOW`): what the
server knows only after the last row travels after the last row. A stream without it ended early.
"""

from __future__ import annotations

import io
import json

import httpx
import pyarrow as pa

from pachon_client.errors import AnswerError
from pachon_client.result import Result, columns_of
from pachon_client.transport import ByteStream

_STATUS, _WARNINGS = b"QUERY_STATUS", b"WARNINGS"
_OVERFLOW = b"OVERFLOW"


def read_result(response: httpx.Response) -> Result:
    """Read a streamed response in Arrow's stream format.

    Raises
    ------
    AnswerError
        The bytes are no Arrow stream, or the stream ended early.
    """
    try:
        table, overflow = _read(response)
    except pa.ArrowException as error:
        raise AnswerError(f"The answer of {response.url} is not an Arrow stream: {error}.") from error
    return Result(
        table=table,
        columns=columns_of(table.schema),
        overflow=overflow,
        warnings=tuple(json.loads((table.schema.metadata or {}).get(_WARNINGS, b"[]"))),
        execution_id=response.headers.get("X-Pachon-Execution", ""),
    )


def _read(response: httpx.Response) -> tuple[pa.Table, bool]:
    batches: list[pa.RecordBatch] = []
    last: bytes | None = None
    with pa.ipc.open_stream(io.BufferedReader(ByteStream(response), 1 << 20)) as reader:
        while True:
            try:
                batch, metadata = reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                break
            last = (metadata or {}).get(_STATUS)
            if batch.num_rows:
                batches.append(batch)
        table = pa.Table.from_batches(batches, schema=reader.schema)
    if last is None:
        raise AnswerError(
            f"The answer of {response.url} ended early: {table.num_rows:,} rows came and no closing word."
        )
    return table, last == _OVERFLOW
