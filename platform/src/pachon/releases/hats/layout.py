"""Where the files of a HATS catalogue lie, and its two small text files (IVOA Note HATS 1.0, section 2)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from pachon.core.errors import SetupError
from pachon.releases.models import Partition

SPATIAL_INDEX_COLUMN = "_healpix_29"
SKYMAP_ORDER = 8
DATASET = "dataset"
_PROPERTIES = "hats.properties"
_PARTITION_INFO = "partition_info.csv"
_PIXELS_PER_DIRECTORY = 10_000


def partition_path(order: int, pixel: int) -> Path:
    """Path of a partition's file, relative to the folder `dataset`."""
    directory = pixel // _PIXELS_PER_DIRECTORY * _PIXELS_PER_DIRECTORY
    return Path(f"Norder={order}", f"Dir={directory}", f"Npix={pixel}.parquet")


def write_properties(catalogue: Path, properties: Mapping[str, object]) -> None:
    """Write `hats.properties`: one `key=value` a line, of Java's property files."""
    lines = [f"{key}={_escaped(str(value))}\n" for key, value in properties.items()]
    (catalogue / _PROPERTIES).write_text("#HATS catalog\n" + "".join(lines), encoding="utf-8")


def read_properties(catalogue: Path) -> dict[str, str]:
    """Read `hats.properties`.

    Raises
    ------
    SetupError
        If the folder is no HATS catalogue.
    """
    try:
        text = (catalogue / _PROPERTIES).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SetupError(f"{catalogue} is not a HATS catalogue: it has no {_PROPERTIES}.") from None
    pairs = (line.partition("=") for line in text.splitlines() if line.strip() and not line.startswith(("#", "!")))
    return {key.strip(): value.strip().replace("\\\\", "\\") for key, _, value in pairs}


def write_partition_info(catalogue: Path, partitions: Iterable[Partition]) -> None:
    """Write `partition_info.csv`: the pixels of the partitions and, beyond the standard, their row counts."""
    with (catalogue / _PARTITION_INFO).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("Norder", "Npix", "num_rows"))
        writer.writerows((part.order, part.pixel, part.row_count) for part in partitions)


def read_partition_info(catalogue: Path) -> tuple[Partition, ...]:
    """Read `partition_info.csv`, in order of position on the sky.

    Raises
    ------
    SetupError
        If it is missing or not made by this writer (no row counts).
    """
    path = catalogue / _PARTITION_INFO
    try:
        with path.open(encoding="utf-8", newline="") as file:
            partitions = [_partition(catalogue, row) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise SetupError(f"{catalogue} is not a complete HATS catalogue: it has no {_PARTITION_INFO}.") from None
    except (KeyError, TypeError, ValueError):
        raise SetupError(f"{path} must have whole numbers in its columns Norder, Npix and num_rows.") from None
    return tuple(sorted(partitions, key=index_start))


def index_start(partition: Partition) -> int:
    """The first order 29 index that a partition may hold."""
    return index_range(partition)[0]


def index_range(partition: Partition) -> tuple[int, int]:
    """The half-open range of order 29 indices that a partition may hold."""
    shift = 2 * (29 - partition.order)
    return partition.pixel << shift, (partition.pixel + 1) << shift


def _partition(catalogue: Path, row: Mapping[str, str]) -> Partition:
    order, pixel = int(row["Norder"]), int(row["Npix"])
    path = catalogue / DATASET / partition_path(order, pixel)
    return Partition(order, pixel, path, int(row["num_rows"]))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", " ")
