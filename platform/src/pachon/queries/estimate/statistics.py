"""Statistics of stored tables: footers, a bounded sample of rows and the density, learnt once and kept on disk.

They lie outside the releases, which never change, in a folder of the service alone: a sample holds values of tables
that not everybody may read. Nothing in them leaves it but counts, for people who may query the table.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pachon.core.errors import UnavailableError
from pachon.core.healpix import SPATIAL_INDEX_ORDER, pixel_count
from pachon.queries.plan import UPLOAD_SCHEMA, IndexRanges
from pachon.releases.hats.layout import index_range
from pachon.releases.models import Partition, Snapshot

_LOG = logging.getLogger(__name__)
SAMPLE_ROWS = 32_768
_DENSITY_ORDER = 8
_DENSITY_SHIFT = 2 * (SPATIAL_INDEX_ORDER - _DENSITY_ORDER)
_SAMPLED_GROUPS = 64
_COLUMNS_AT_ONCE = 16
_VERSION = "1"
_SPATIAL_INDEX = "_healpix_29"


class Density(Protocol):
    """What is needed of a catalogue on disk; `releases.hats.reader.SnapshotCatalogue` keeps it."""

    def density(self, *, order: int = ...) -> NDArray[np.uint32]:
        """Rows per nested pixel, shape (12 * 4**order,)."""
        ...


class TableStatistics:
    """What is known of a stored table. Arrays are mapped from disk, so that only what is used is read.

    Parameters
    ----------
    folder
        Where `write_statistics` wrote them; may go once they are open.

    Attributes
    ----------
    group_rows
        Rows of each row group, shape (groups,).
    spans
        Half-open range of order 29 indices of each row group, shape (groups, 2).
    chunk_bytes
        Compressed size of each column chunk, shape (groups, columns); the last column is `_healpix_29`.
    least, greatest
        Extremes of each chunk, NaN where they are not known or no numbers, shape (groups, columns).
    sample_places
        Order 29 index of each row of the sample; empty for a table without positions.
    """

    def __init__(self, folder: Path) -> None:
        self.columns: tuple[str, ...] = tuple((folder / "columns.txt").read_text(encoding="utf-8").split("\n"))
        self.group_rows: NDArray[np.int64] = _mapped(folder / "group_rows.npy")
        self.spans: NDArray[np.int64] = _mapped(folder / "spans.npy")
        self.chunk_bytes: NDArray[np.int64] = _mapped(folder / "chunk_bytes.npy")
        self.least: NDArray[np.float64] = _mapped(folder / "least.npy")
        self.greatest: NDArray[np.float64] = _mapped(folder / "greatest.npy")
        self.sample_places: NDArray[np.int64] = _mapped(folder / "sample_places.npy")
        self._cumulative: NDArray[np.int64] = _mapped(folder / "cumulative.npy")
        self._sample = pa.ipc.open_file(pa.memory_map(str(folder / "sample.arrow"), "r")).read_all()
        self._distinct: dict[int, float] = {}

    @property
    def row_count(self) -> int:
        """Rows of the table."""
        return int(self.group_rows.sum())

    @property
    def sample_size(self) -> int:
        """Rows of the sample."""
        return int(self._sample.num_rows)

    @property
    def is_complete(self) -> bool:
        """Whether the sample is the whole table."""
        return self.sample_size == self.row_count

    def sample(self, index: int) -> pa.Array:
        """Values of a column in the sample."""
        column = self._sample.column(index)
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()

    def count_in(self, ranges: IndexRanges) -> float:
        """Rows in some ranges of the sky: rows are taken as evenly spread inside the pixels of the density map."""
        edges = np.array(ranges, dtype=np.int64).reshape(-1, 2)
        ranks = self._rank(edges)
        return float((ranks[:, 1] - ranks[:, 0]).sum())

    def places_in(self, ranges: IndexRanges, count: int) -> NDArray[np.int64]:
        """Order 29 indices of so many places, spread over some ranges as the rows are."""
        edges = np.array(ranges, dtype=np.int64).reshape(-1, 2)
        ranks = self._rank(edges)
        sizes = ranks[:, 1] - ranks[:, 0]
        if sizes.sum() <= 0:  # no row is expected: spread by area
            sizes = (edges[:, 1] - edges[:, 0]).astype(np.float64)
        within = (np.arange(count) + 0.5) / count * sizes.sum()
        before = np.concatenate([[0.0], np.cumsum(sizes)])
        chosen = np.clip(np.searchsorted(before, within, side="right") - 1, 0, len(sizes) - 1)
        share = (within - before[chosen]) / np.maximum(sizes[chosen], 1e-300)
        return self._place(edges[chosen], ranks[chosen], np.clip(share, 0.0, 1.0))

    def _rank(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Rows before each index."""
        pixel = np.minimum(indices >> _DENSITY_SHIFT, len(self._cumulative) - 2)
        share = (indices - (pixel << _DENSITY_SHIFT)) / float(1 << _DENSITY_SHIFT)
        below, above = self._cumulative[pixel], self._cumulative[pixel + 1]
        return np.asarray(below + (above - below) * share, dtype=np.float64)

    def _place(
        self, edges: NDArray[np.int64], ranks: NDArray[np.float64], share: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        wide = (edges[:, 1] - edges[:, 0]).astype(np.float64)
        straight = edges[:, 0] + (share * wide * (1 - 1e-12)).astype(np.int64)
        wanted = ranks[:, 0] + share * (ranks[:, 1] - ranks[:, 0])
        pixel = np.clip(np.searchsorted(self._cumulative, wanted, side="right") - 1, 0, len(self._cumulative) - 2)
        held = self._cumulative[pixel + 1] - self._cumulative[pixel]
        inside = (wanted - self._cumulative[pixel]) / np.maximum(held, 1)
        spread = (pixel << _DENSITY_SHIFT) + (np.clip(inside, 0, 1) * ((1 << _DENSITY_SHIFT) - 1)).astype(np.int64)
        spread = np.clip(spread, edges[:, 0], edges[:, 1] - 1)
        return np.where(ranks[:, 1] > ranks[:, 0], spread, straight)

    def distinct(self, index: int) -> float:
        """How many different values a column has, NULL not counted."""
        if index not in self._distinct:
            self._distinct[index] = distinct_values(self.sample(index), float(self.row_count))
        return self._distinct[index]


def _mapped(path: Path) -> NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def distinct_values(sample: pa.Array, rows: float) -> float:
    """Different values, NULL not counted, of a column of so many rows of which some are at hand.

    The estimator of Haas, Naughton, Seshadri and Stokes (VLDB 1995, section 3, D_UJ1), over the rows that are not NULL.
    """
    if pa.types.is_nested(sample.type):
        return rows
    known = sample.drop_null()
    if not len(known):
        return 0.0
    counts = known.value_counts().field("counts").to_numpy()
    held, once = len(counts), int((counts == 1).sum())
    share = min(len(sample) / max(rows, 1.0), 1.0)
    guess = held / max(1.0 - (1.0 - share) * once / len(known), share)
    return float(min(max(guess, held), rows * len(known) / len(sample) + 1))


class StatisticsStore:
    """Statistics by table, learnt when first asked for; safe to use from many threads.

    Parameters
    ----------
    folder
        Where they are kept; made with access for this account alone.
    open_catalogue
        Opens the catalogue of a snapshot that has at least one partition.
    sample_rows
        Rows of a sample.
    """

    def __init__(
        self, folder: Path, open_catalogue: Callable[[Snapshot], Density], *, sample_rows: int = SAMPLE_ROWS
    ) -> None:
        self._folder = folder
        self._open_catalogue = open_catalogue
        self._sample_rows = sample_rows
        self._known: dict[str, TableStatistics] = {}
        self._lock = threading.Lock()
        self._learning: dict[str, threading.Lock] = {}

    def of(self, snapshot: Snapshot) -> TableStatistics:
        """The statistics of a table as it stands in a snapshot; the first call reads a bounded part of its files.

        Raises
        ------
        UnavailableError
            If the files cannot be read.
        """
        try:
            if snapshot.table.schema == UPLOAD_SCHEMA:
                return self._passing(snapshot)
            key = self._key(snapshot)
            with self._lock:
                if (found := self._known.get(key)) is not None:
                    return found
                turn = self._learning.setdefault(key, threading.Lock())
            return self._learnt(key, snapshot, turn)
        except (OSError, pa.ArrowException) as error:
            _LOG.warning("statistics of %s: %s", snapshot.table.qualified_name, error)
            message = f"The files of table {snapshot.table.qualified_name} could not be read; please try again."
            raise UnavailableError(message, retry_after_s=10) from None

    def _passing(self, snapshot: Snapshot) -> TableStatistics:
        """Statistics of what is somebody's own and soon gone: nothing of it stays on disk."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".passing-", dir=self._folder) as name:
            folder = Path(name)
            write_statistics(folder, snapshot, self._density(snapshot), sample_rows=self._sample_rows)
            return TableStatistics(folder)

    def keep_only(self, snapshots: Iterable[Snapshot]) -> None:
        """Forget all tables but these."""
        keys = {self._key(snapshot) for snapshot in snapshots}
        with self._lock:
            self._known = {key: found for key, found in self._known.items() if key in keys}
        for folder in self._folder.glob("[!.]*") if self._folder.is_dir() else ():
            if folder.name not in keys:
                shutil.rmtree(folder, ignore_errors=True)

    def _learnt(self, key: str, snapshot: Snapshot, turn: threading.Lock) -> TableStatistics:
        with turn:
            found = self._known.get(key) or self._open(key, snapshot)
        with self._lock:
            self._known[key] = found
            self._learning.pop(key, None)
        return found

    def _key(self, snapshot: Snapshot) -> str:
        """The table, and a digest of its files, their rows and when they were written."""
        digest = hashlib.sha256(f"{_VERSION}/{self._sample_rows}".encode())
        for part in snapshot.partitions:
            digest.update(f"{part.order}/{part.pixel}/{part.row_count}/{part.valid_from};".encode())
        if snapshot.partitions:
            status = snapshot.partitions[0].path.stat()
            digest.update(f"{status.st_ino}/{status.st_mtime_ns}".encode())
        return f"{snapshot.table.qualified_name}-{digest.hexdigest()[:20]}"

    def _open(self, key: str, snapshot: Snapshot) -> TableStatistics:
        folder = self._folder / key
        if not folder.is_dir():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            building = Path(mkdtemp(prefix=".building-", dir=self._folder))
            try:
                write_statistics(building, snapshot, self._density(snapshot), sample_rows=self._sample_rows)
                self._publish(building, folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
        return TableStatistics(folder)

    def _density(self, snapshot: Snapshot) -> NDArray[np.uint32] | None:
        if not snapshot.partitions or not snapshot.table.has_position:
            return None
        return self._open_catalogue(snapshot).density(order=_DENSITY_ORDER)

    def _publish(self, building: Path, folder: Path) -> None:
        """Put them in their place, unless another process was faster."""
        try:
            building.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


def write_statistics(
    folder: Path, snapshot: Snapshot, density: NDArray[np.uint32] | None, *, sample_rows: int = SAMPLE_ROWS
) -> None:
    """Learn the statistics of a table: reads all footers, and at most 64 row groups, a few columns at a time.

    Parameters
    ----------
    density
        Rows per nested pixel of order 8; None for a table that is empty or has no positions.
    """
    names = [*(column.name for column in snapshot.table.columns), _SPATIAL_INDEX]
    rows: list[int] = []
    spans: list[tuple[int, int]] = []
    groups: list[tuple[Path, int, int]] = []
    figures: list[NDArray[np.float64]] = []
    for part in snapshot.partitions:
        footer = pq.read_metadata(part.path)
        chunks_of = _places(footer, names)
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            figures.append(_chunks(group, chunks_of))
            rows.append(group.num_rows)
            spans.append(_span(part, figures[-1][:, -1]))
            groups.append((part.path, number, group.num_rows))
    table = np.array(figures, dtype=np.float64).reshape(-1, 3, len(names))
    counts = np.zeros(pixel_count(_DENSITY_ORDER), np.int64) if density is None else density
    np.save(folder / "cumulative.npy", np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))
    np.save(folder / "group_rows.npy", np.array(rows, dtype=np.int64))
    np.save(folder / "spans.npy", np.array(spans, dtype=np.int64).reshape(-1, 2))
    np.save(folder / "chunk_bytes.npy", table[:, 0].astype(np.int64))
    np.save(folder / "least.npy", table[:, 1])
    np.save(folder / "greatest.npy", table[:, 2])
    sample = _sample(snapshot, groups, sample_rows)
    places = np.empty(0, np.int64)
    if snapshot.table.has_position:
        places = sample[_SPATIAL_INDEX].to_numpy()
        sample = sample.drop_columns([_SPATIAL_INDEX])
    np.save(folder / "sample_places.npy", places)
    with pa.ipc.new_file(str(folder / "sample.arrow"), sample.schema) as file:
        file.write_table(sample.combine_chunks(), max_chunksize=None)
    (folder / "columns.txt").write_text("\n".join(names), encoding="utf-8")


def _places(footer: pq.FileMetaData, names: list[str]) -> list[list[int]]:
    """The chunks of each column: arrays may have several."""
    places: dict[str, list[int]] = {}
    for index in range(footer.num_columns):
        places.setdefault(footer.schema.column(index).path.partition(".")[0], []).append(index)
    return [places.get(name, []) for name in names]


def _chunks(group: pq.RowGroupMetaData, places: list[list[int]]) -> NDArray[np.float64]:
    """Compressed bytes, least and greatest of each column, shape (3, columns)."""
    figures = np.full((3, len(places)), np.nan)
    for column, indices in enumerate(places):
        chunks = [group.column(index) for index in indices]
        figures[0, column] = sum(chunk.total_compressed_size for chunk in chunks)
        statistics = chunks[0].statistics if len(chunks) == 1 else None
        if statistics is not None and statistics.has_min_max and isinstance(statistics.min, int | float):
            figures[1:, column] = np.nextafter(statistics.min, -np.inf), np.nextafter(statistics.max, np.inf)
    return figures


def _span(part: Partition, index: NDArray[np.float64]) -> tuple[int, int]:
    start, stop = index_range(part)
    if np.isnan(index[1]):
        return start, stop
    return max(start, int(index[1])), min(stop, int(index[2]) + 1)


def _sample(snapshot: Snapshot, groups: list[tuple[Path, int, int]], sample_rows: int) -> pa.Table:
    """Rows picked at random within evenly spaced row groups, so that all of the sky is met."""
    fields = [pa.field(column.name, column.field.arrow_type) for column in snapshot.table.columns]
    if snapshot.table.has_position:
        fields.append(pa.field(_SPATIAL_INDEX, pa.int64()))
    schema = pa.schema(fields)
    spread = np.unique(np.linspace(0, len(groups) - 1, min(_SAMPLED_GROUPS, len(groups))).round().astype(int))
    chosen = [groups[index] for index in spread]
    total = sum(count for _, _, count in chosen)
    random = np.random.default_rng(42)
    parts = []
    for path, number, count in chosen:
        wanted = count if total <= sample_rows else min(count, round(sample_rows * count / total))
        picked = np.sort(random.choice(count, wanted, replace=False))
        parts.append(_rows_of(path, number, schema.names, picked))
    return pa.concat_tables([part.cast(schema) for part in parts]) if parts else schema.empty_table()


def _rows_of(path: Path, group: int, names: list[str], picked: NDArray[np.int64]) -> pa.Table:
    with pq.ParquetFile(path) as file:
        columns: dict[str, pa.ChunkedArray] = {}
        for start in range(0, len(names), _COLUMNS_AT_ONCE):
            rows = file.read_row_group(group, columns=names[start : start + _COLUMNS_AT_ONCE]).take(picked)
            columns |= {name: rows[name] for name in rows.column_names}
    return pa.table({name: columns[name] for name in names})
