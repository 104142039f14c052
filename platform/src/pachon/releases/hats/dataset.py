"""Writes the Parquet files of a table, each complete when it has its name; those of a catalogue from sorted runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pachon.core.failpoints import failpoint
from pachon.releases.hats.layout import DATASET, SPATIAL_INDEX_COLUMN, partition_path
from pachon.releases.hats.partitioning import Pixel
from pachon.releases.hats.runs import Runs
from pachon.releases.hats.workplace import in_threads, replacing
from pachon.releases.models import Partition

ROW_GROUP_ROWS = 122_880


def write_dataset(runs: Runs, chosen: Sequence[Pixel], catalogue: Path) -> tuple[Partition, ...]:
    """Write the files of partitions that are not there yet, and the two that join the footers of all (HATS 1.0)."""
    dataset = catalogue / DATASET
    partitions: list[Partition] = []
    footers: list[pq.FileMetaData] = []

    def write(group: Sequence[Pixel]) -> Sequence[Pixel]:
        _write_group(runs, group, dataset)
        return group

    for group in in_threads(write, _groups(chosen, runs.largest)):
        for pixel in group:
            relative = partition_path(pixel.order, pixel.pixel)
            footer = pq.read_metadata(dataset / relative)
            footer.set_file_path(relative.as_posix())
            footers.append(footer)
            partitions.append(Partition(pixel.order, pixel.pixel, dataset / relative, footer.num_rows))
    schema = footers[0].schema.to_arrow_schema()
    pq.write_metadata(schema, dataset / "_common_metadata")
    pq.write_metadata(schema, dataset / "_metadata", metadata_collector=footers)
    return tuple(partitions)


def _groups(chosen: Iterable[Pixel], max_rows: int) -> Iterator[list[Pixel]]:
    """Neighbours on the sky that are read together: no more rows than a run has, or one pixel."""
    group: list[Pixel] = []
    for pixel in chosen:
        if group and sum(each.row_count for each in group) + pixel.row_count > max_rows:
            yield group
            group = []
        group.append(pixel)
    if group:
        yield group


def _write_group(runs: Runs, group: Sequence[Pixel], dataset: Path) -> None:
    missing = [pixel for pixel in group if not (dataset / partition_path(pixel.order, pixel.pixel)).exists()]
    if not missing:
        return
    rows = runs.between(missing[0].span[0], missing[-1].span[1])
    index = rows[SPATIAL_INDEX_COLUMN].to_numpy()
    for pixel in missing:
        start, stop = np.searchsorted(index, pixel.span)
        with replacing(dataset / partition_path(pixel.order, pixel.pixel)) as path:
            write_file(rows.slice(start, stop - start), path)
            failpoint("import.before-partition")


def write_file(rows: pa.Table, path: Path) -> None:
    """Write rows to a Parquet file as all our tables are written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        rows,
        path,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
        use_dictionary=[field.name for field in rows.schema if pa.types.is_string(field.type)],
        write_page_index=True,
    )
