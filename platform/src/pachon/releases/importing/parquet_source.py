"""Reads Parquet: one file, or all files of a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pachon.releases.importing.models import SourceColumn, UnreadableFileError
from pachon.releases.importing.votable_source import declared_fields

BATCH_ROWS = 65_536
_VOTABLE = b"IVOA.VOTable-Parquet.content"
"""The description of the columns as a VOTable without rows (VOParquet 1.0)."""
_SPARE = ("_", ".")
"""How names of files begin that hold no rows: footers of footers, and what is not finished."""


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file; `unit` and `ucd` in the metadata of a column are its unit and UCD."""

    path: Path
    is_text: bool = False

    @cached_property
    def columns(self) -> tuple[SourceColumn, ...]:
        """As in the footer."""
        with _readable(), pq.ParquetFile(self.path) as file:
            schema = file.schema_arrow
        declared = declared_fields((schema.metadata or {}).get(_VOTABLE, b""))
        return tuple(
            SourceColumn(
                field.name, field.type, _label(field, b"unit"), _label(field, b"ucd"), declared.get(field.name)
            )
            for field in schema
        )

    @property
    def states_units(self) -> bool:
        """Whether any column has a unit."""
        return any(column.unit for column in self.columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in order, a row group at a time."""
        with _readable(), pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            yield from file.iter_batches(batch_size=BATCH_ROWS)


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"the file is damaged, or no Parquet file ({_first_line(error)}).") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _label(field: pa.Field, key: bytes) -> str | None:
    text = (field.metadata or {}).get(key)
    return text.decode(errors="replace") if text else None


def parquet_files(folder: Path) -> tuple[Path, ...]:
    """The Parquet files of a folder and the folders in it, in order of their paths."""
    files = (path for path in folder.rglob("*.parquet") if path.is_file())
    return tuple(sorted(path for path in files if not path.name.startswith(_SPARE)))
