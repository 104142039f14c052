"""Two catalogues of variable stars, VSX and GCVS: positions and types, as one Python package carries both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pachon.preview.models import Catalogue, Channel, Download
from pachon.preview.wheels import opened

_FOLDER = "fink_science/data/catalogs"
_DOWNLOAD = Download(
    channel=Channel.PYTHON_PACKAGE,
    package="fink-science==7.4.0",
    filename="fink_science-7.4.0-py3-none-any.whl",
    size_bytes=67_499_162,
    sha256="63d9c98745aff219d1e382552aa215a731b6bdc36d0527c4eeb2e71835bfc781",
)


def _reader(member: str, ra: str, dec: str, variable_type: str) -> Callable[[Path], Iterator[pa.RecordBatch]]:
    """Reads a Parquet file of the package whose columns have these names."""
    names = {ra: "ra", dec: "dec", variable_type: "variable_type"}
    return partial(_read, member=f"{_FOLDER}/{member}", names=names)


def _read(path: Path, *, member: str, names: dict[str, str]) -> Iterator[pa.RecordBatch]:
    """Rows of a catalogue in the order of its file, numbered from 1.

    Raises
    ------
    SetupError
        If the archive cannot be read.
    """
    with opened(path, content="a catalogue of variable stars") as archive:
        file = pq.ParquetFile(pa.BufferReader(archive.read(member)))
        done = 0
        for rows in file.iter_batches(columns=list(names)):
            yield _columns(rows.rename_columns(names), done)
            done += len(rows)


def _columns(rows: pa.RecordBatch, done: int) -> pa.RecordBatch:
    """The columns of the schema; the types are padded with blanks, and a blank one is not known."""
    trimmed = pc.utf8_trim_whitespace(rows["variable_type"])
    known = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
    numbers = pa.array(range(done + 1, done + len(rows) + 1), pa.int32())
    columns = {"row_number": numbers, "ra": rows["ra"], "dec": rows["dec"], "variable_type": known}
    return pa.RecordBatch.from_pydict(columns)


VSX = Catalogue(
    id="vsx", row_count=1_933_544, download=_DOWNLOAD, read=_reader("vsx.parquet", "RAJ2000", "DEJ2000", "VType")
)
GCVS = Catalogue(id="gcvs", row_count=59_099, download=_DOWNLOAD, read=_reader("gcvs.parquet", "ra", "dec", "VarType"))
