"""Validity of the files of living tables: `validity.csv` beside `partition_info.csv`, which lists all there ever were.

A change of a living table writes the files of the pixels it touches anew, under new names, and ends the validity of the
old ones: a query as of a moment reads those that were valid then. HATS knows no such thing, so that other readers see
what `partition_info.csv` lists.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from pachon.core.errors import SetupError
from pachon.releases.hats.layout import index_start
from pachon.releases.hats.workplace import replacing
from pachon.releases.models import Partition

VALIDITY = "validity.csv"
_NAMES = ("file", "Norder", "Npix", "num_rows", "valid_from", "valid_to")


def write_validity(folder: Path, partitions: Iterable[Partition]) -> None:
    """Say which files a living table has and had, in one instant.

    Parameters
    ----------
    folder
        Of the table; all files lie in it.
    """
    with replacing(folder / VALIDITY) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_NAMES)
        for part in partitions:
            path = part.path.relative_to(folder).as_posix()
            limits = (moment.isoformat() if moment else "" for moment in (part.valid_from, part.valid_to))
            writer.writerow((path, part.order, part.pixel, part.row_count, *limits))


def read_validity(folder: Path) -> tuple[Partition, ...] | None:
    """All files of a living table in order of place on the sky, then of time; None if nothing has changed yet.

    Raises
    ------
    SetupError
        If the list is wrong.
    """
    path = folder / VALIDITY
    try:
        with path.open(encoding="utf-8", newline="") as file:
            partitions = [_partition(folder, row) for row in csv.DictReader(file)]
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError):
        raise SetupError(f"{path} must have the columns {', '.join(_NAMES)}, with moments as ISO 8601.") from None
    return tuple(sorted(partitions, key=lambda part: (index_start(part), part.order, _begin_s(part))))


def _begin_s(partition: Partition) -> float:
    return partition.valid_from.timestamp() if partition.valid_from else float("-inf")


def _partition(folder: Path, row: Mapping[str, str]) -> Partition:
    begins, ends = (datetime.fromisoformat(row[name]) if row[name] else None for name in ("valid_from", "valid_to"))
    order, pixel, row_count = (int(row[name]) for name in ("Norder", "Npix", "num_rows"))
    return Partition(order, pixel, folder / row["file"], row_count, valid_from=begins, valid_to=ends)
