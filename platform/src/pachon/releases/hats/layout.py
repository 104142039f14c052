"""Where the files of a table lie, and its two small text files (IVOA Note HATS 1.0, section 2).

A table without positions is kept likewise: `dataset/part-00000.parquet` and so on, with a `partition_info.csv` that
names these files and no `hats.properties`, since it is no HATS catalogue.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from pachon.core.errors import SetupError
from pachon.core.healpix import SPATIAL_INDEX_ORDER, pixel_count
from pachon.releases.hats.workplace import replacing
from pachon.releases.models import Partition

SPATIAL_INDEX_COLUMN = "_healpix_29"
SKYMAP_ORDER = 8
PLAIN_ORDER = -1
"""Order of the partitions of a table without positions: each may hold rows of the whole sphere."""
DATASET = "dataset"
PROPERTIES = "hats.properties"
PARTITION_INFO = "partition_info.csv"
_SUFFIX = ".parquet"
_PIXELS_PER_DIRECTORY = 10_000


def partition_path(order: int, pixel: int, *, suffix: str = _SUFFIX) -> Path:
    """Path of a partition's file, relative to the folder `dataset`."""
    directory = pixel // _PIXELS_PER_DIRECTORY * _PIXELS_PER_DIRECTORY
    return Path(f"Norder={order}", f"Dir={directory}", f"Npix={pixel}{suffix}")


def plain_path(number: int) -> Path:
    """Path of a file of a table without positions, relative to the folder `dataset`."""
    return Path(f"part-{number:05d}{_SUFFIX}")


def write_properties(catalogue: Path, properties: Mapping[str, object]) -> None:
    """Write `hats.properties` in one instant: one `key=value` a line, of Java's property files."""
    lines = [f"{key}={_escaped(str(value))}\n" for key, value in properties.items()]
    with replacing(catalogue / PROPERTIES) as path:
        path.write_text("#HATS catalog\n" + "".join(lines), encoding="utf-8")


def read_properties(catalogue: Path, name: str = PROPERTIES) -> dict[str, str]:
    """Read `hats.properties`, or another file of its kind.

    Raises
    ------
    SetupError
        If the folder is no HATS catalogue.
    """
    try:
        text = (catalogue / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SetupError(f"{catalogue} is not a HATS catalogue: it has no {name}.") from None
    pairs = (line.partition("=") for line in text.splitlines() if line.strip() and not line.startswith(("#", "!")))
    return {key.strip(): value.strip().replace("\\\\", "\\") for key, _, value in pairs}


def write_partition_info(catalogue: Path, partitions: Iterable[Partition]) -> None:
    """Write `partition_info.csv`: the pixels of the partitions and, beyond the standard, their row counts."""
    rows = ((part.order, part.pixel, part.row_count) for part in partitions)
    _write_info(catalogue, ("Norder", "Npix", "num_rows"), rows)


def write_plain_info(folder: Path, parts: Iterable[Partition]) -> None:
    """Write the `partition_info.csv` of a table without positions."""
    _write_info(folder, ("file", "num_rows"), ((part.path.name, part.row_count) for part in parts))


def _write_info(folder: Path, names: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with replacing(folder / PARTITION_INFO) as path, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)


def read_partition_info(folder: Path, *, suffix: str = _SUFFIX) -> tuple[Partition, ...]:
    """Read `partition_info.csv`, in order of position on the sky; a row count that it does not give is -1.

    Parameters
    ----------
    suffix
        How the names of the files of a catalogue end.

    Raises
    ------
    SetupError
        If it is missing or wrong.
    """
    path = folder / PARTITION_INFO
    try:
        with path.open(encoding="utf-8", newline="") as file:
            partitions = [
                _part(folder, number, row) if "file" in row else _partition(folder, row, suffix)
                for number, row in enumerate(csv.DictReader(file))
            ]
    except FileNotFoundError:
        raise SetupError(f"{folder} is not a complete table: it has no {PARTITION_INFO}.") from None
    except (KeyError, TypeError, ValueError):
        raise SetupError(f"{path} must have whole numbers in its columns Norder, Npix and num_rows.") from None
    return tuple(sorted(partitions, key=lambda partition: (index_start(partition), partition.pixel)))


def index_start(partition: Partition) -> int:
    """The first order 29 index that a partition may hold."""
    return index_range(partition)[0]


def index_range(partition: Partition) -> tuple[int, int]:
    """The half-open range of order 29 indices that a partition may hold."""
    if partition.order == PLAIN_ORDER:
        return 0, pixel_count(SPATIAL_INDEX_ORDER)
    shift = 2 * (SPATIAL_INDEX_ORDER - partition.order)
    return partition.pixel << shift, (partition.pixel + 1) << shift


def _partition(catalogue: Path, row: Mapping[str, str], suffix: str) -> Partition:
    order, pixel = int(row["Norder"]), int(row["Npix"])
    path = catalogue / DATASET / partition_path(order, pixel, suffix=suffix)
    return Partition(order, pixel, path, int(row.get("num_rows", -1)))


def _part(folder: Path, number: int, row: Mapping[str, str]) -> Partition:
    return Partition(PLAIN_ORDER, number, folder / DATASET / Path(row["file"]).name, int(row["num_rows"]))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", " ")
