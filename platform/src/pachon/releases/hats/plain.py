"""Writes a table without positions: Parquet files in the order of the rows, listed as the partitions of a catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pachon.core.errors import UsageError
from pachon.core.failpoints import failpoint
from pachon.releases.hats.dataset import write_file
from pachon.releases.hats.layout import (
    DATASET,
    PARTITION_INFO,
    PLAIN_ORDER,
    plain_path,
    read_partition_info,
    write_plain_info,
)
from pachon.releases.hats.workplace import Workplace, in_blocks, in_threads, replacing
from pachon.releases.models import Partition


class PlainBuild:
    """A table without positions in the making: rows are added, then it is finished. Until then nobody can read it.

    Parameters
    ----------
    folder, key
        As for `CatalogueBuild`.
    name
        For errors.
    schema
        Arrow columns.
    part_rows
        Rows of a file.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema, *, part_rows: int, key: str = "") -> None:
        self._name = name
        self._schema = schema
        self._part_rows = part_rows
        self._place = Workplace(folder, key)
        self._dataset = folder / DATASET
        self._row_counts = list(self._complete_parts())

    def _complete_parts(self) -> Iterator[int]:
        number = 0
        while (path := self._dataset / plain_path(number)).exists():
            yield pq.read_metadata(path).num_rows
            number += 1

    @property
    def rows_kept(self) -> int:
        """Rows that need not be added again: the first ones of the input."""
        return sum(self._row_counts)

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Add the rows that follow those kept already."""
        blocks = in_blocks(batches, rows=self._part_rows)
        numbered = enumerate(blocks, start=len(self._row_counts))
        self._row_counts += in_threads(self._write, numbered)

    def _write(self, part: tuple[int, pa.Table]) -> int:
        number, block = part
        with replacing(self._dataset / plain_path(number)) as path:
            write_file(block.select(self._schema.names).cast(self._schema), path)
            failpoint("import.before-part")
        return len(block)

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows added."""
        for number in range(len(self._row_counts)):
            with pq.ParquetFile(self._dataset / plain_path(number)) as file:
                yield from file.iter_batches(columns=list(names))

    def finish(self) -> tuple[Partition, ...]:
        """List the files: the table is complete from the instant when `partition_info.csv` is there.

        Raises
        ------
        UsageError
            If there are no rows.
        """
        folder = self._place.folder
        if not self.rows_kept:
            self.discard()
            raise UsageError(f"Table '{self._name}' has no rows.")
        if not (folder / PARTITION_INFO).exists():
            failpoint("import.before-part-list")
            write_plain_info(folder, [self._partition(*each) for each in enumerate(self._row_counts)])
        failpoint("import.before-cleanup")
        self._place.clean()
        return read_partition_info(folder)

    def _partition(self, number: int, row_count: int) -> Partition:
        return Partition(PLAIN_ORDER, number, self._dataset / plain_path(number), row_count)

    def discard(self) -> None:
        """Remove all that was written."""
        self._place.discard()
