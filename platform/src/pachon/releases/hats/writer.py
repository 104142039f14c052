"""Writes a HATS catalogue from a stream of rows: in bounded memory, in threads, and on from where it was killed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pachon.core.errors import UsageError
from pachon.core.failpoints import failpoint
from pachon.core.healpix import SPATIAL_INDEX_ORDER, pixel_count, spatial_index
from pachon.releases.hats.dataset import ROW_GROUP_ROWS, write_dataset
from pachon.releases.hats.layout import (
    PROPERTIES,
    SKYMAP_ORDER,
    SPATIAL_INDEX_COLUMN,
    read_partition_info,
    write_partition_info,
    write_properties,
)
from pachon.releases.hats.partitioning import Pixel, choose_partitions
from pachon.releases.hats.runs import Runs
from pachon.releases.hats.skymap import write_skymap
from pachon.releases.hats.workplace import Workplace, in_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pachon.releases.models import Partition

__all__ = ["PARTITION_ROWS", "ROW_GROUP_ROWS", "CatalogueBuild", "CatalogueFormat", "write_catalogue"]

PARTITION_ROWS = 250_000
FINEST_ORDER = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueFormat:
    """What a catalogue is called and which of its columns hold the position.

    Parameters
    ----------
    name
        Goes into `hats.properties`.
    schema
        Arrow columns, without `_healpix_29`.
    ra_column, dec_column
        Names of the position columns, ICRS degrees.
    partition_rows
        A pixel with more rows is split, down to order 11.
    """

    name: str
    schema: pa.Schema
    ra_column: str
    dec_column: str
    partition_rows: int = PARTITION_ROWS

    @property
    def stored_schema(self) -> pa.Schema:
        """The columns on disk: those published, then `_healpix_29`."""
        return self.schema.append(pa.field(SPATIAL_INDEX_COLUMN, pa.int64(), nullable=False))


def write_catalogue(
    batches: Iterable[pa.RecordBatch], folder: Path, catalogue: CatalogueFormat
) -> tuple[Partition, ...]:
    """Write all rows of a stream as a HATS catalogue.

    Parameters
    ----------
    batches
        Rows with the columns of `catalogue.schema`, in any order on the sky.
    folder
        Made here; must be empty or not exist. It is complete only when this function returns.

    Raises
    ------
    UsageError
        If a row has no position, or there are no rows.
    """
    build = CatalogueBuild(folder, catalogue)
    build.add(batches)
    return build.finish()


class CatalogueBuild:
    """A catalogue in the making: rows are added, then it is finished. Until then it is no catalogue to any reader.

    Parameters
    ----------
    folder
        Made here; must be empty, not exist, or hold what an interrupted build left.
    key
        Says from what it is made: a build with the same key goes on from what an interrupted one completed. The bytes
        it writes do not depend on that. The empty key never goes on.
    """

    def __init__(self, folder: Path, catalogue: CatalogueFormat, *, key: str = "") -> None:
        self._catalogue = catalogue
        self._place = Workplace(folder, key)
        self._runs = Runs(self._place.work / "runs", catalogue.stored_schema)

    @property
    def rows_kept(self) -> int:
        """Rows that need not be added again: the first ones of the input."""
        return self._runs.row_count

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Add the rows that follow those kept already.

        Raises
        ------
        UsageError
            If a row has no position.
        """
        self._runs.add(_indexed(batches, self._catalogue, first_row=self.rows_kept))

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows added, in no order."""
        return self._runs.columns(names)

    def finish(self) -> tuple[Partition, ...]:
        """Write the files. The catalogue is complete from the instant when `hats.properties` is there.

        Raises
        ------
        UsageError
            If there are no rows.
        """
        folder = self._place.folder
        if not (folder / PROPERTIES).exists():
            self._write(folder)
        failpoint("import.before-cleanup")
        self._place.clean()
        return read_partition_info(folder)

    def _write(self, folder: Path) -> None:
        counts = self._runs.counts(order=SKYMAP_ORDER)
        if not counts.any():
            self.discard()
            raise UsageError(f"Catalogue '{self._catalogue.name}' has no rows.")
        chosen = choose_partitions(counts, max_rows=self._catalogue.partition_rows, finer=self._finer)
        partitions = write_dataset(self._runs, chosen, folder)
        failpoint("import.after-dataset")
        write_skymap(folder, counts)
        write_partition_info(folder, partitions)
        failpoint("import.before-properties")
        write_properties(folder, _properties(self._catalogue, partitions))

    def _finer(self, pixel: Pixel) -> NDArray[np.int64]:
        return self._runs.counts_within(pixel, orders=FINEST_ORDER - pixel.order)

    def discard(self) -> None:
        """Remove all that was written."""
        self._place.discard()


def _indexed(batches: Iterable[pa.RecordBatch], catalogue: CatalogueFormat, *, first_row: int) -> Iterator[pa.Table]:
    """The stream in blocks, with `_healpix_29`."""
    for block in in_blocks(batches):
        rows = block.select(catalogue.schema.names).cast(catalogue.schema).combine_chunks()
        ra_deg, dec_deg = (_degrees(rows[name]) for name in (catalogue.ra_column, catalogue.dec_column))
        placed = np.isfinite(ra_deg) & (np.abs(dec_deg) <= 90)  # noqa: PLR2004 -- a pole
        if not placed.all():
            row = first_row + int(np.argmin(placed)) + 1
            raise UsageError(f"Row {row} of catalogue '{catalogue.name}' has no valid position.")
        index = pa.array(spatial_index(ra_deg, dec_deg))
        yield rows.append_column(catalogue.stored_schema.field(SPATIAL_INDEX_COLUMN), index)
        first_row += len(rows)


def _degrees(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _properties(catalogue: CatalogueFormat, partitions: tuple[Partition, ...]) -> dict[str, object]:
    size_bytes = sum(partition.path.stat().st_size for partition in partitions)
    return {
        "obs_collection": catalogue.name,
        "dataproduct_type": "object",
        "hats_nrows": sum(partition.row_count for partition in partitions),
        "hats_col_ra": catalogue.ra_column,
        "hats_col_dec": catalogue.dec_column,
        "hats_col_healpix": SPATIAL_INDEX_COLUMN,
        "hats_col_healpix_order": SPATIAL_INDEX_ORDER,
        "hats_npix_suffix": ".parquet",
        "hats_skymap_order": SKYMAP_ORDER,
        "hats_max_rows": max(partition.row_count for partition in partitions),
        "hats_order": max(partition.order for partition in partitions),
        "hats_estsize": size_bytes // 1024 + 1,
        "moc_sky_fraction": f"{sum(1 / pixel_count(part.order) for part in partitions):.6f}",
        "hats_builder": "pachon",
        "hats_version": "v1.0",
    }
