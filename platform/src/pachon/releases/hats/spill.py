"""Rows on their way into a catalogue, kept on disk by coarse pixel so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from pachon.releases.hats.layout import SPATIAL_INDEX_COLUMN

SPILL_ORDER = 2
_SPILL_SHIFT = 2 * (29 - SPILL_ORDER)
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")


class Spill:
    """One Arrow file per order 2 pixel; a context manager that closes them."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder = folder
        self._schema = schema
        self._writers: dict[int, pa.ipc.RecordBatchFileWriter] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def add(self, rows: pa.Table) -> None:
        """Keep rows, which hold `_healpix_29`."""
        pixels = rows[SPATIAL_INDEX_COLUMN].to_numpy() >> _SPILL_SHIFT
        by_pixel = np.argsort(pixels, kind="stable")
        ordered = rows.take(by_pixel)
        present, starts = np.unique(pixels[by_pixel], return_index=True)
        stops = [*starts[1:], len(ordered)]
        for pixel, start, stop in zip(present.tolist(), starts, stops, strict=True):
            self._writer(pixel).write_table(ordered.slice(start, stop - start))

    def _writer(self, pixel: int) -> pa.ipc.RecordBatchFileWriter:
        if pixel not in self._writers:
            self._writers[pixel] = pa.ipc.new_file(self._path(pixel), self._schema, options=_LZ4)
        return self._writers[pixel]

    def _path(self, pixel: int) -> Path:
        return self._folder / f"{pixel}.arrow"

    def take(self, pixels: Iterable[int]) -> pa.Table:
        """All rows of some pixels, sorted by `_healpix_29`; their files are removed."""
        tables = list(self._read(pixels))
        rows = pa.concat_tables(tables)
        order = np.argsort(rows[SPATIAL_INDEX_COLUMN].to_numpy(), kind="stable")
        return rows.take(order)

    def _read(self, pixels: Iterable[int]) -> Iterator[pa.Table]:
        for pixel in pixels:
            path = self._path(pixel)
            if path.exists():
                with pa.ipc.open_file(path) as reader:
                    yield reader.read_all()
                path.unlink()
