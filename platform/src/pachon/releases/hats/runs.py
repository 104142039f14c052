"""Rows on their way into a catalogue, kept on disk as runs sorted by position, so that memory stays bounded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pachon.core.failpoints import failpoint
from pachon.core.healpix import SPATIAL_INDEX_ORDER, pixel_count
from pachon.releases.hats.layout import SPATIAL_INDEX_COLUMN
from pachon.releases.hats.partitioning import Pixel
from pachon.releases.hats.workplace import in_threads, replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH_ROWS = 8_192
_BOUNDS = b"bounds"
_NAME = re.compile(r"run-(\d{15})-(\d{15})\.arrow")
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


@dataclass(frozen=True)
class _Run:
    """A file of rows sorted by `_healpix_29`; `first_row` and `stop_row` count rows of the input from 0."""

    path: Path
    first_row: int
    stop_row: int

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """The first index of each record batch, and then the last of all."""
        with pa.ipc.open_file(pa.OSFile(str(self.path))) as reader:
            return np.frombuffer(reader.schema.metadata[_BOUNDS], dtype=np.int64)

    def between(self, start: int, stop: int, fields: list[int]) -> Iterator[pa.RecordBatch]:
        """Batches that hold all rows with an index in the half-open range, and others; with the columns asked for."""
        first = max(int(np.searchsorted(self.bounds[:-1], start)) - 1, 0)
        last = int(np.searchsorted(self.bounds[:-1], stop)) if self.bounds[-1] >= start else 0
        options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
        with pa.ipc.open_file(pa.OSFile(str(self.path)), options=options) as reader:
            for number in range(first, last):
                yield reader.get_batch(number).replace_schema_metadata(None)


class Runs:
    """The runs of one catalogue.

    Parameters
    ----------
    folder
        Made if it does not exist; runs that are there already are kept.
    schema
        Of the rows, with `_healpix_29`.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder = folder
        self._schema = schema.remove_metadata()
        folder.mkdir(exist_ok=True)
        self._runs = _contiguous(folder)

    @property
    def row_count(self) -> int:
        """Rows kept so far: the first ones of the input."""
        return self._runs[-1].stop_row if self._runs else 0

    @property
    def largest(self) -> int:
        """Rows of the largest run."""
        return max((run.stop_row - run.first_row for run in self._runs), default=0)

    def add(self, blocks: Iterable[pa.Table]) -> None:
        """Keep the rows that follow those kept already; each block becomes a run."""
        for run in in_threads(self._write, _numbered(blocks, self.row_count)):
            self._runs.append(run)

    def _write(self, block: tuple[int, pa.Table]) -> _Run:
        first_row, rows = block
        index = rows[SPATIAL_INDEX_COLUMN].to_numpy()
        order = np.argsort(index, kind="stable")
        bounds = np.append(index[order[::_BATCH_ROWS]], index[order[-1]])
        schema = self._schema.with_metadata({_BOUNDS: bounds.tobytes()})
        stop_row = first_row + len(rows)
        run = _Run(self._folder / f"run-{first_row:015d}-{stop_row:015d}.arrow", first_row, stop_row)
        with replacing(run.path) as path:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema, options=_LZ4) as writer:
                writer.write_table(rows.take(pa.array(order)).cast(schema), _BATCH_ROWS)
            failpoint("import.before-run")
        return run

    def between(self, start: int, stop: int) -> pa.Table:
        """All rows with an index in the half-open range, sorted by it and then by their place in the input."""
        rows = self._read(start, stop, self._schema.names)
        index = rows[SPATIAL_INDEX_COLUMN].to_numpy()
        inside = np.flatnonzero((index >= start) & (index < stop))
        return rows.take(pa.array(inside[np.argsort(index[inside], kind="stable")]))

    def _read(self, start: int, stop: int, names: Sequence[str]) -> pa.Table:
        fields = [self._schema.get_field_index(name) for name in names]
        schema = pa.schema([self._schema.field(field) for field in fields])
        batches = (batch for run in self._runs for batch in run.between(start, stop, fields))
        return pa.Table.from_batches(batches, schema=schema).combine_chunks()

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows, in no order."""
        fields = sorted(self._schema.get_field_index(name) for name in names)
        for run in self._runs:
            for batch in run.between(0, pixel_count(SPATIAL_INDEX_ORDER), fields):
                yield batch.select(list(names))

    def counts(self, *, order: int) -> NDArray[np.int64]:
        """Rows per nested pixel, shape (12 * 4**order,)."""
        counts = np.zeros(pixel_count(order), dtype=np.int64)
        shift = 2 * (SPATIAL_INDEX_ORDER - order)
        for batch in self.columns([SPATIAL_INDEX_COLUMN]):
            pixels, rows = np.unique(batch.column(0).to_numpy() >> shift, return_counts=True)
            counts[pixels] += rows
        return counts

    def counts_within(self, pixel: Pixel, *, orders: int) -> NDArray[np.int64]:
        """Rows per descendant of a pixel so and so many orders below it, shape (4**orders,)."""
        start, stop = pixel.span
        index = self._read(start, stop, [SPATIAL_INDEX_COLUMN]).column(0).to_numpy()
        inside = index[(index >= start) & (index < stop)]
        children = (inside - start) >> 2 * (SPATIAL_INDEX_ORDER - pixel.order - orders)
        return np.bincount(children, minlength=4**orders)


def _numbered(blocks: Iterable[pa.Table], first_row: int) -> Iterator[tuple[int, pa.Table]]:
    for block in blocks:
        yield first_row, block
        first_row += len(block)


def _contiguous(folder: Path) -> list[_Run]:
    """The runs that are complete, up to the first gap; those beyond were finished before one that never was."""
    named = ((path, _NAME.fullmatch(path.name)) for path in sorted(folder.iterdir()))
    runs: list[_Run] = []
    for path, name in named:
        run = _Run(path, int(name[1]), int(name[2])) if name else None
        if run is not None and run.first_row == (runs[-1].stop_row if runs else 0):
            runs.append(run)
        else:
            path.unlink()
    return runs
