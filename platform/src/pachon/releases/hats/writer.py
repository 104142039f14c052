"""Writes a HATS catalogue from a stream of rows, in bounded memory."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pachon.core.errors import UsageError
from pachon.core.healpix import SPATIAL_INDEX_ORDER, pixel_count, spatial_index
from pachon.releases.hats.layout import (
    DATASET,
    SKYMAP_ORDER,
    SPATIAL_INDEX_COLUMN,
    index_range,
    partition_path,
    write_partition_info,
    write_properties,
)
from pachon.releases.hats.partitioning import Pixel, choose_partitions
from pachon.releases.hats.skymap import write_skymap
from pachon.releases.hats.spill import SPILL_ORDER, Spill
from pachon.releases.models import Partition

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTITION_ROWS = 250_000
ROW_GROUP_ROWS = 122_880
_SKYMAP_SHIFT = 2 * (SPATIAL_INDEX_ORDER - SKYMAP_ORDER)
_BLOCK_ROWS = 1 << 18


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
        A pixel with more rows is split.
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
        Made here; must not exist. It is complete only when this function returns, so build it where nobody reads.

    Raises
    ------
    UsageError
        If a row has no position, or there are no rows.
    """
    spill_folder = folder / ".spill"
    counts = np.zeros(pixel_count(SKYMAP_ORDER), dtype=np.int64)
    with Spill(spill_folder, catalogue.stored_schema) as spill:
        for rows in _indexed(batches, catalogue):
            pixels = rows[SPATIAL_INDEX_COLUMN].to_numpy() >> _SKYMAP_SHIFT
            counts += np.bincount(pixels, minlength=counts.size)
            spill.add(rows)
    if not counts.any():
        raise UsageError(f"Catalogue '{catalogue.name}' has no rows.")
    chosen = choose_partitions(counts, order=SKYMAP_ORDER, max_rows=catalogue.partition_rows)
    partitions = _write_dataset(spill, chosen, folder / DATASET, catalogue.stored_schema)
    shutil.rmtree(spill_folder)
    write_skymap(folder, counts)
    write_partition_info(folder, partitions)
    write_properties(folder, _properties(catalogue, partitions))
    return partitions


def _indexed(batches: Iterable[pa.RecordBatch], catalogue: CatalogueFormat) -> Iterator[pa.Table]:
    """The stream in blocks of some 260,000 rows, with `_healpix_29`."""
    done = 0
    for block in _blocks(batches):
        rows = pa.Table.from_batches(block).select(catalogue.schema.names).cast(catalogue.schema)
        ra_deg, dec_deg = (_degrees(rows[name]) for name in (catalogue.ra_column, catalogue.dec_column))
        placed = np.isfinite(ra_deg) & (np.abs(dec_deg) <= 90)  # noqa: PLR2004 -- a pole
        if not placed.all():
            row = done + int(np.argmin(placed)) + 1
            raise UsageError(f"Row {row} of catalogue '{catalogue.name}' has no valid position.")
        index = pa.array(spatial_index(ra_deg, dec_deg))
        yield rows.append_column(catalogue.stored_schema.field(SPATIAL_INDEX_COLUMN), index)
        done += len(rows)


def _blocks(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    block: list[pa.RecordBatch] = []
    for batch in batches:
        block.append(batch)
        if sum(len(each) for each in block) >= _BLOCK_ROWS:
            yield block
            block = []
    if block:
        yield block


def _degrees(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _write_dataset(spill: Spill, chosen: tuple[Pixel, ...], dataset: Path, schema: pa.Schema) -> tuple[Partition, ...]:
    """Write the files of `dataset`: one per partition, and the two that join their footers."""
    footers: list[pq.FileMetaData] = []
    partitions: list[Partition] = []
    for spilled, pixels in itertools.groupby(chosen, key=_spilled_pixels):
        rows = spill.take(spilled)
        index = rows[SPATIAL_INDEX_COLUMN].to_numpy()
        for pixel in pixels:
            relative = partition_path(pixel.order, pixel.pixel)
            partition = Partition(pixel.order, pixel.pixel, dataset / relative, pixel.row_count)
            start, stop = np.searchsorted(index, index_range(partition))
            footers.append(_write_file(rows.slice(start, stop - start), dataset, relative))
            partitions.append(partition)
    plain = schema.remove_metadata()
    pq.write_metadata(plain, dataset / "_common_metadata")
    pq.write_metadata(plain, dataset / "_metadata", metadata_collector=footers)
    return tuple(partitions)


def _spilled_pixels(pixel: Pixel) -> range:
    """The pixels of the spill that cover a partition (one, for a partition finer than they are)."""
    coarser_by = SPILL_ORDER - pixel.order
    if coarser_by <= 0:
        spilled = pixel.pixel >> (-2 * coarser_by)
        return range(spilled, spilled + 1)
    return range(pixel.pixel << (2 * coarser_by), (pixel.pixel + 1) << (2 * coarser_by))


def _write_file(rows: pa.Table, dataset: Path, relative: Path) -> pq.FileMetaData:
    path = dataset / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    footers: list[pq.FileMetaData] = []
    pq.write_table(
        rows,
        path,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
        use_dictionary=[field.name for field in rows.schema if pa.types.is_string(field.type)],
        write_page_index=True,
        metadata_collector=footers,
    )
    footers[0].set_file_path(relative.as_posix())
    return footers[0]


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
