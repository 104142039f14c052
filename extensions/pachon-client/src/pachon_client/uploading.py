"""Tables that people send with a query: files as they are, tables in memory as Parquet or VOTable."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from pachon_client.errors import RequestError
from pachon_client.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

    Sendable: TypeAlias = str | Path | Result | pa.Table | pd.DataFrame | Table
    """A file of VOTable, FITS, CSV or Parquet by its path, or a table in memory."""


@contextmanager
def upload_parts(uploads: Mapping[str, Sendable]) -> Iterator[tuple[str, dict[str, BinaryIO]]]:
    """The parameter UPLOAD (TAP 1.1, section 2.7.6) and the parts of a form that hold the tables.

    Parameters
    ----------
    uploads
        Tables by the name that the query gives them after `TAP_UPLOAD.`.

    Raises
    ------
    RequestError
        A file cannot be read, or an object is no table that can be sent.
    """
    with ExitStack() as opened:
        parts = {name: opened.enter_context(_opened(name, table)) for name, table in uploads.items()}
        yield ";".join(f"{name},param:{name}" for name in parts), parts


def _opened(name: str, table: Sendable) -> BinaryIO:
    if isinstance(table, (str, Path)):
        try:
            return Path(table).open("rb")
        except OSError as error:
            raise RequestError(f"Table {name} cannot be read from {table}: {error.strerror}.") from None
    kind = type(table).__module__.partition(".")[0]
    if isinstance(table, Result):
        return _parquet(table.table)
    if isinstance(table, pa.Table):
        return _parquet(table)
    if kind == "pandas":
        return _parquet(pa.Table.from_pandas(table, preserve_index=False))
    if kind == "astropy" and hasattr(table, "colnames"):
        return _votable(name, table)
    allowed = "a path, a Result, and a table of Arrow, pandas or astropy are allowed"
    raise RequestError(f"Table {name} is a {type(table).__name__}; {allowed}.")


def _parquet(table: pa.Table) -> BinaryIO:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    buffer.seek(0)
    return buffer


def _votable(name: str, table: Table) -> BinaryIO:
    """Units, UCDs and descriptions travel along; columns that hold several values a row (coordinates) cannot."""
    from astropy.table import Table as Plain  # noqa: PLC0415 -- the table given is one of astropy's

    buffer = io.BytesIO()
    try:
        Plain(table).write(buffer, format="votable", tabledata_format="binary2")
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise RequestError(f"Table {name} cannot be written as VOTable: {error}.") from None
    buffer.seek(0)
    return buffer
