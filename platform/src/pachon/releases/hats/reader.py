"""Reads a table on disk: its files, its density, and the positions of a piece of sky."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pachon.core.errors import SetupError, UsageError
from pachon.core.healpix import SPATIAL_INDEX_ORDER, pixel_count
from pachon.releases.hats.layout import (
    PLAIN_ORDER,
    PROPERTIES,
    SKYMAP_ORDER,
    SPATIAL_INDEX_COLUMN,
    index_range,
    read_partition_info,
    read_properties,
)
from pachon.releases.hats.skymap import read_skymap
from pachon.releases.hats.workplace import in_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pachon.releases.models import Partition, Snapshot

_COLLECTION = "collection.properties"
_DIRECTORY_SUFFIX = "/"


class HatsCatalogue:
    """A catalogue on disk; its small files are read once, when first asked for.

    What `hats-import` writes is read too: row counts come from the footers and a missing density map from the rows.
    Nothing is written into a catalogue. A table without positions is read as far as it goes: it has partitions.

    Parameters
    ----------
    folder
        The one with `hats.properties`; or a catalogue collection, of which the primary catalogue is read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def _root(self) -> Path:
        if (self.folder / PROPERTIES).exists() or not (self.folder / _COLLECTION).exists():
            return self.folder
        primary = read_properties(self.folder, _COLLECTION).get("hats_primary_table_url", "")
        if not primary or Path(primary).name != primary:
            message = (
                f"{self.folder / _COLLECTION} must name a folder beside it in hats_primary_table_url, not '{primary}'."
            )
            raise SetupError(message)
        return self.folder / primary

    @cached_property
    def properties(self) -> dict[str, str]:
        """`hats.properties` as written.

        Raises
        ------
        SetupError
            If there is none: the catalogue is not complete.
        """
        return read_properties(self._root)

    @cached_property
    def partitions(self) -> tuple[Partition, ...]:
        """All files, in order of place on the sky.

        Raises
        ------
        SetupError
            If the table is not complete, or of a kind that is not read here.
        """
        if not (self._root / PROPERTIES).exists():
            plain = read_partition_info(self._root)
            if any(partition.order != PLAIN_ORDER for partition in plain):
                raise SetupError(f"{self._root} is not a complete HATS catalogue: it has no {PROPERTIES}.")
            return plain
        partitions = tuple(in_threads(_counted, read_partition_info(self._root, suffix=self._suffix())))
        self._check_count(partitions)
        return partitions

    def _suffix(self) -> str:
        suffix = self.properties.get("hats_npix_suffix", ".parquet")
        index = self.properties.get("hats_col_healpix", SPATIAL_INDEX_COLUMN)
        if suffix == _DIRECTORY_SUFFIX:
            raise SetupError(f"{self._root} keeps folders for partitions (hats_npix_suffix is '/'); allowed are files.")
        if index != SPATIAL_INDEX_COLUMN:
            raise SetupError(f"{self._root} is indexed by column '{index}'; it must be '{SPATIAL_INDEX_COLUMN}'.")
        return suffix

    def _check_count(self, partitions: Sequence[Partition]) -> None:
        counted = sum(partition.row_count for partition in partitions)
        stated = self.properties.get("hats_nrows", str(counted))
        if stated != str(counted):
            message = f"{self._root} is not a complete HATS catalogue: it has {counted} rows, hats_nrows says {stated}."
            raise SetupError(message)

    @property
    def row_count(self) -> int:
        """Rows in all partitions."""
        return sum(partition.row_count for partition in self.partitions)

    @cached_property
    def stored_skymap(self) -> NDArray[np.uint32] | None:
        """Rows per nested pixel of order 8 as `skymap.fits` tells, shape (12 * 4**8,); None without one."""
        return read_skymap(self._root)

    @cached_property
    def _skymap(self) -> NDArray[np.uint32]:
        return _counted_skymap(self.partitions) if self.stored_skymap is None else self.stored_skymap

    def density(self, *, order: int = SKYMAP_ORDER) -> NDArray[np.uint32]:
        """Rows per nested pixel, shape (12 * 4**order,).

        Raises
        ------
        UsageError
            If the order is not between 0 and 8.
        """
        if not 0 <= order <= SKYMAP_ORDER:
            raise UsageError(f"The order must be between 0 and {SKYMAP_ORDER}, not {order}.", parameter="order")
        return np.asarray(self._skymap.reshape(pixel_count(order), -1).sum(axis=1, dtype=np.uint32))

    def indices(self, start: int, stop: int) -> NDArray[np.int64]:
        """Order 29 indices of all rows in the half-open range [start, stop), sorted."""
        return _indices(self.partitions, start, stop)


class SnapshotCatalogue:
    """The files of a snapshot as a catalogue to count in: what else the folder of the table holds does not matter."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def skymap(self) -> NDArray[np.uint32] | None:
        """Rows per nested pixel of order 8, shape (12 * 4**8,); None if no map was made of just these files."""
        folder = self._snapshot.catalogue
        return None if folder is None else HatsCatalogue(folder).stored_skymap

    def density(self, *, order: int = SKYMAP_ORDER) -> NDArray[np.uint32]:
        """Rows per nested pixel, shape (12 * 4**order,), 0 <= order <= 8; counted if there is no such map."""
        skymap = self.skymap()
        counts = _counted_skymap(self._snapshot.partitions) if skymap is None else skymap
        return np.asarray(counts.reshape(pixel_count(order), -1).sum(axis=1, dtype=np.uint32))

    def indices(self, start: int, stop: int) -> NDArray[np.int64]:
        """Order 29 indices of all rows in the half-open range [start, stop)."""
        return _indices(self._snapshot.partitions, start, stop)


def _counted_skymap(partitions: tuple[Partition, ...]) -> NDArray[np.uint32]:
    counts = np.zeros(pixel_count(SKYMAP_ORDER), dtype=np.uint32)
    shift = 2 * (SPATIAL_INDEX_ORDER - SKYMAP_ORDER)
    for partition in partitions:
        for indices in _indices_in(partition.path, *index_range(partition)):
            pixels, rows = np.unique(indices >> shift, return_counts=True)
            counts[pixels] += rows.astype(np.uint32)
    return counts


def _indices(partitions: tuple[Partition, ...], start: int, stop: int) -> NDArray[np.int64]:
    ranges = np.array([[start, stop]], dtype=np.int64)
    found = [np.empty(0, dtype=np.int64)]
    for partition in overlapping(partitions, ranges):
        found += _indices_in(partition.path, start, stop)
    return np.concatenate(found)


def overlapping(partitions: tuple[Partition, ...], ranges: NDArray[np.int64]) -> tuple[Partition, ...]:
    """The partitions that may hold a row in some ranges.

    Parameters
    ----------
    ranges
        Half-open ranges of order 29 indices, shape (n, 2), sorted and disjoint.
    """
    if not len(ranges):
        return ()
    spans = np.array([index_range(partition) for partition in partitions], dtype=np.int64).reshape(-1, 2)
    first_after = np.searchsorted(ranges[:, 1], spans[:, 0], side="right")
    meets = first_after < len(ranges)
    meets[meets] = ranges[first_after[meets], 0] < spans[meets, 1]
    return tuple(partition for partition, hit in zip(partitions, meets, strict=True) if hit)


def _counted(partition: Partition) -> Partition:
    """The partition with its row count, read from its footer where the catalogue's list does not give it."""
    if partition.row_count >= 0:
        return partition
    try:
        return replace(partition, row_count=pq.read_metadata(partition.path).num_rows)
    except (OSError, pa.ArrowException):
        raise SetupError(f"{partition.path} is missing or not a Parquet file.") from None


def _indices_in(path: Path, start: int, stop: int) -> Iterator[NDArray[np.int64]]:
    """Indices of one file within a range; row groups whose statistics exclude it are not read."""
    with pq.ParquetFile(path) as file:
        column = file.schema_arrow.get_field_index(SPATIAL_INDEX_COLUMN)
        for group in range(file.num_row_groups):
            statistics = file.metadata.row_group(group).column(column).statistics
            known = statistics is not None and statistics.has_min_max
            if known and (statistics.max < start or statistics.min >= stop):
                continue
            values = file.read_row_group(group, columns=[SPATIAL_INDEX_COLUMN]).column(0).to_numpy()
            first, last = np.searchsorted(values, (start, stop))
            yield values[first:last]
