"""Reads a HATS catalogue: its partitions, its density, and the positions of a piece of sky."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from pachon.core.errors import UsageError
from pachon.core.healpix import pixel_count
from pachon.releases.hats.layout import (
    SKYMAP_ORDER,
    SPATIAL_INDEX_COLUMN,
    index_range,
    read_partition_info,
    read_properties,
)
from pachon.releases.hats.skymap import read_skymap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pachon.releases.models import Partition


class HatsCatalogue:
    """A catalogue on disk; its small files are read once, when first asked for.

    Parameters
    ----------
    folder
        The one with `hats.properties`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def properties(self) -> dict[str, str]:
        """`hats.properties` as written."""
        return read_properties(self.folder)

    @cached_property
    def partitions(self) -> tuple[Partition, ...]:
        """All files, in order of place on the sky."""
        return read_partition_info(self.folder)

    @property
    def row_count(self) -> int:
        """Rows in all partitions."""
        return sum(partition.row_count for partition in self.partitions)

    def density(self, *, order: int = SKYMAP_ORDER) -> NDArray[np.uint32]:
        """Rows per nested pixel, shape (12 * 4**order,).

        Raises
        ------
        UsageError
            If the order is not between 0 and 8.
        """
        if not 0 <= order <= SKYMAP_ORDER:
            raise UsageError(f"The order must be between 0 and {SKYMAP_ORDER}, not {order}.", parameter="order")
        counts = read_skymap(self.folder)
        return np.asarray(counts.reshape(pixel_count(order), -1).sum(axis=1, dtype=np.uint32))

    def indices(self, start: int, stop: int) -> NDArray[np.int64]:
        """Order 29 indices of all rows in the half-open range [start, stop), sorted."""
        ranges = np.array([[start, stop]], dtype=np.int64)
        found = [np.empty(0, dtype=np.int64)]
        for partition in overlapping(self.partitions, ranges):
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


def _indices_in(path: Path, start: int, stop: int) -> Iterator[NDArray[np.int64]]:
    """Indices of one file within a range; row groups whose statistics exclude it are not read."""
    with pq.ParquetFile(path) as file:
        column = file.schema_arrow.get_field_index(SPATIAL_INDEX_COLUMN)
        for group in range(file.num_row_groups):
            statistics = file.metadata.row_group(group).column(column).statistics
            if statistics.max < start or statistics.min >= stop:
                continue
            values = file.read_row_group(group, columns=[SPATIAL_INDEX_COLUMN]).column(0).to_numpy()
            first, last = np.searchsorted(values, (start, stop))
            yield values[first:last]
