"""Rows set aside on disk, for documents whose head depends on every row. Memory holds one batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO

import pyarrow as pa

from pachon.vo.columns import Facts


class Spool:
    """Batches in a temporary file, in order, which can be read again and again.

    Parameters
    ----------
    facts
        What is known of each column.
    row_count
        Rows in all.
    """

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._file = file
        self._schema = schema
        self.facts = tuple(Facts() for _ in schema)
        self.row_count = 0

    def fill(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Keep all batches; what came before a failure stays."""
        with pa.ipc.new_stream(self._file, self._schema) as writer:
            for batch in batches:
                writer.write_batch(batch.cast(self._schema))
                self.row_count += batch.num_rows
                for facts, column in zip(self.facts, batch.columns, strict=True):
                    facts.add(column)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches from the first on; one reader at a time."""
        self._file.seek(0)
        yield from pa.ipc.open_stream(self._file)


@contextmanager
def spooled(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[Spool]:
    """All batches of a schema on disk, gone when the block is left."""
    with TemporaryFile() as file:
        spool = Spool(file, schema)
        spool.fill(batches)
        yield spool
