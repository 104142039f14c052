"""Opens files by what their names say they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pachon.core.errors import UsageError
from pachon.releases.importing.csv_source import CsvSource
from pachon.releases.importing.fits_source import FitsSource
from pachon.releases.importing.models import Source
from pachon.releases.importing.parquet_source import ParquetSource, parquet_files
from pachon.releases.importing.votable_source import open_votable

_FORMATS: dict[str, Callable[[Path], Source]] = {
    ".csv": CsvSource,
    ".csv.gz": CsvSource,
    ".fits": FitsSource,
    ".fit": FitsSource,
    ".parquet": ParquetSource,
    ".vot": open_votable,
    ".votable": open_votable,
    ".xml": open_votable,
}


def all_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files that are meant: those named, and those in folders that are named.

    Raises
    ------
    UsageError
        If there is no such file, or none in a folder, or its name is none of a known format.
    """
    files = tuple(file for path in paths for file in _meant(path))
    if not files:
        raise UsageError("Name at least one file to import.", parameter="files")
    for file in files:
        _format(file)
    return files


def _meant(path: Path) -> Iterator[Path]:
    if path.is_dir():
        found = parquet_files(path)
        if not found:
            raise UsageError(f"There is no Parquet file in the folder {path}.", parameter="files")
        yield from found
    elif path.is_file():
        yield path
    else:
        raise UsageError(f"There is no file {path}.", parameter="files")


def _format(path: Path) -> Callable[[Path], Source]:
    name = path.name.lower()
    known = next((_FORMATS[suffix] for suffix in _FORMATS if name.endswith(suffix)), None)
    if known is None:
        raise UsageError(f"{path.name} must end in one of {', '.join(_FORMATS)}.", parameter="files")
    return known


def open_source(path: Path) -> Source:
    """Open a file that `all_files` gave.

    Raises
    ------
    UnreadableFileError
        If it is damaged.
    """
    return _format(path)(path)
