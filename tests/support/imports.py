"""Files of every format that can be imported, made from rows in memory."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import MaskedColumn
from astropy.table import Table as AstropyTable
from pyarrow import csv

from pachon.releases.felis import parse_schema
from pachon.releases.models import Partition
from pachon.vo import votable
from pachon.vo.models import Heading
from support.rows import HeldRows
from support.skies import felis

(STARS,) = parse_schema(felis("sky"))
UNITS = {column.name: column.field.unit for column in STARS.columns}
NO_SKY = replace(STARS, ra_column=None, dec_column=None)
"""The same table, with two columns that hold no main position."""


def write_parquet(rows: pa.Table, path: Path) -> Path:
    pq.write_table(rows, path, row_group_size=3_000, write_page_checksum=True)
    return path


def write_parquet_folder(rows: pa.Table, path: Path) -> Path:
    path.mkdir()
    pq.write_table(rows.slice(0, 1_000), path / "a.parquet")
    pq.write_table(rows.slice(1_000), path / "b.parquet")
    pq.write_metadata(rows.schema, path / "_common_metadata.parquet")
    return path


def write_csv(rows: pa.Table, path: Path) -> Path:
    csv.write_csv(rows, path)
    return path


def write_csv_gz(rows: pa.Table, path: Path) -> Path:
    plain = write_csv(rows, path.with_suffix(""))
    path.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    return path


def write_fits(rows: pa.Table, path: Path) -> Path:
    described(rows).write(path, format="fits")
    return path


def write_fits_in_votable(rows: pa.Table, path: Path) -> Path:
    stored = write_fits(rows, path.with_suffix(".fits"))
    encoded = base64.encodebytes(stored.read_bytes()).decode()
    stored.unlink()
    path.write_text(
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        f'<DATA><FITS><STREAM encoding="base64">{encoded}</STREAM></FITS></DATA></TABLE></RESOURCE></VOTABLE>'
    )
    return path


def write_tabledata(rows: pa.Table, path: Path) -> Path:
    fields = tuple(column.field for column in STARS.columns)
    document = votable.write_tabledata(HeldRows(fields, rows.to_batches()), Heading())
    path.write_bytes(b"".join(document))
    return path


def votable_writer(serialisation: str) -> Callable[[pa.Table, Path], Path]:
    def write(rows: pa.Table, path: Path) -> Path:
        described(rows).write(path, format="votable", tabledata_format=serialisation)
        return path

    return write


def described(rows: pa.Table) -> AstropyTable:
    """The rows as astropy writes them: texts for times, masks for nulls, units from the schema."""
    table = AstropyTable()
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        text = column.cast(pa.string()) if pa.types.is_timestamp(column.type) else column
        filler = {"float": float("nan"), "string": ""}.get(str(text.type))
        values = text.fill_null(filler).to_numpy() if filler is not None else text.to_numpy()
        values = values.astype(str) if pa.types.is_string(text.type) else values
        mask = text.is_null().to_numpy() if pa.types.is_string(text.type) else None
        table[name] = MaskedColumn(values, mask=mask, unit=UNITS.get(name))
    return table


FORMATS: dict[str, Callable[[pa.Table, Path], Path]] = {
    "stars.parquet": write_parquet,
    "folder": write_parquet_folder,
    "stars.csv": write_csv,
    "stars.csv.gz": write_csv_gz,
    "stars.fits": write_fits,
    "tabledata.vot": write_tabledata,
    "binary.vot": votable_writer("binary"),
    "binary2.vot": votable_writer("binary2"),
    "fits.vot": write_fits_in_votable,
}


def stored_rows(partitions: tuple[Partition, ...]) -> pa.Table:
    """All rows of a table on disk, by identifier."""
    rows = pa.concat_tables(pq.read_table(part.path, partitioning=None) for part in partitions)
    return rows.select([column.name for column in STARS.columns]).sort_by("id").combine_chunks()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
