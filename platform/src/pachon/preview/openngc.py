"""OpenNGC (Verga): the table of objects of its SQLite database, in the terms of our schema."""

from __future__ import annotations

import contextlib
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pachon.core.errors import SetupError
from pachon.core.fields import arrow_schema
from pachon.preview.models import DESCRIPTIONS, Catalogue, Channel, Download
from pachon.releases.felis import read_schema

_MEMBER = "pyongc/ongc.db"
_QUERY = """
SELECT
  name, degrees(ra) AS ra, degrees(dec) AS dec, objects.type AS object_type, typedesc AS object_type_name,
  nullif(commonnames, '') AS common_names, nullif(messier, '') AS messier, nullif(ngc, '') AS ngc,
  nullif(ic, '') AS ic, nullif(identifiers, '') AS identifiers, nullif(const, '') AS constellation,
  majax AS major_axis, minax AS minor_axis, pa AS position_angle,
  bmag AS b_mag, vmag AS v_mag, jmag AS j_mag, hmag AS h_mag, kmag AS k_mag, sbrightn AS surface_brightness,
  nullif(hubble, '') AS hubble_type, parallax, pmra, pmdec, radvel AS radial_velocity, redshift,
  cstarumag AS central_star_u_mag, cstarbmag AS central_star_b_mag, cstarvmag AS central_star_v_mag,
  nullif(cstarnames, '') AS central_star_names, nullif(nednotes, '') AS ned_notes, nullif(ongcnotes, '') AS notes,
  notngc AS is_addendum
FROM objects JOIN objTypes ON objects.type = objTypes.type
WHERE ra IS NOT NULL AND dec IS NOT NULL
ORDER BY objects.id
"""


def read(path: Path) -> Iterator[pa.RecordBatch]:
    """Objects with a position, from the archive that carries the database.

    Raises
    ------
    SetupError
        If the archive cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive, contextlib.closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(archive.read(_MEMBER))
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute(_QUERY)]
    except (zipfile.BadZipFile, KeyError, sqlite3.Error, OSError) as error:
        raise SetupError(f"{path.name} cannot be read as OpenNGC: {error}.") from None
    for row in rows:
        row["is_addendum"] = bool(row["is_addendum"])
    yield from pa.Table.from_pylist(rows, schema=_schema()).to_batches()


def _schema() -> pa.Schema:
    """Arrow columns; given, because a column of a few rows alone does not show its type."""
    (table,) = read_schema(DESCRIPTIONS / "openngc" / "schema.yaml")
    return arrow_schema(tuple(column.field for column in table.columns))


OPENNGC = Catalogue(
    id="openngc",
    row_count=14_026,
    download=Download(
        channel=Channel.PYTHON_PACKAGE,
        package="pyongc==1.2.2",
        filename="pyongc-1.2.2-py3-none-any.whl",
        size_bytes=2_351_507,
        sha256="d740581ce5e7317a51fc31bec19bb8562bf358c399551b5dfe73a752fa490bf2",
    ),
    read=read,
)
