"""A hundred thousand uploaded positions beside ten million rows, within an arc second."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.tap.conftest import Arena
from bench.tap.record import ANSWERS, Trial, keep_beside_raw, keep_unanswered
from bench.tap.server import RefusedError, rows_of
from bench.timing import interleaved

_NAME = "crossmatch of 100 k uploaded rows with 10 M rows"
_ROWS = 100_000
_RADIUS_DEG = 1 / 3600
_ZONE_DEG = 2 / 3600
_SHIFT_DEG = 0.5 / 3600
_ROUNDS = 5
_MAX_ROWS = 1_000_000
_BOUNDARY = "pachon-bench"
_MEDIA_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"
_ADQL = (
    "SELECT u.number, o.id FROM TAP_UPLOAD.mine AS u JOIN sky.objects AS o "
    f"ON DISTANCE(POINT(u.ra, u.dec), POINT(o.ra, o.dec)) < {_RADIUS_DEG!r}"
)
_RADIANS = "radians(o.dec - u.dec)", "radians(o.ra - u.ra)", "cos(radians(o.dec)) * cos(radians(u.dec))"
_DISTANCE = f"2 * asin(sqrt(sin({_RADIANS[0]} / 2) ** 2 + {_RADIANS[2]} * sin({_RADIANS[1]} / 2) ** 2))"
_RAW_SQL = f"""
WITH zoned AS (
    SELECT number, ra, dec, unnest(range(
        CAST(floor((dec - {_RADIUS_DEG}) / {_ZONE_DEG}) AS BIGINT),
        CAST(floor((dec + {_RADIUS_DEG}) / {_ZONE_DEG}) AS BIGINT) + 1)) AS zone
    FROM mine
)
SELECT u.number, o.id FROM {{objects}} AS o JOIN zoned AS u
ON CAST(floor(o.dec / {_ZONE_DEG}) AS BIGINT) = u.zone AND {_DISTANCE} < radians({_RADIUS_DEG})
"""

pytestmark = [
    pytest.mark.stack,
    pytest.mark.catalogues,
    pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning"),
]


def uploaded(arena: Arena) -> pa.Table:
    """Half of them half an arc second north of an object, half anywhere."""
    random = np.random.default_rng(11)
    near = arena.raw.fetch(
        f"SELECT ra, dec FROM {arena.raw.files('sky.objects')} WHERE abs(dec) < 89 AND id % 200 = 0 LIMIT {_ROWS // 2}"
    )
    anywhere = _ROWS - near.num_rows
    ra = np.concatenate([near["ra"].to_numpy(), random.uniform(0, 360, anywhere)])
    dec = np.concatenate([near["dec"].to_numpy() + _SHIFT_DEG, np.degrees(np.arcsin(random.uniform(-1, 1, anywhere)))])
    return pa.table({"number": np.arange(_ROWS), "ra": ra, "dec": dec})


def as_form(rows: pa.Table, form: str) -> bytes:
    """A TAP request with its upload, as clients send it; the rows in Parquet."""
    fields = {"LANG": "ADQL", "QUERY": _ADQL, "MAXREC": _MAX_ROWS, "UPLOAD": "mine,param:rows", "RESPONSEFORMAT": form}
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="rows"; filename="rows.parquet"\r\n'
        "Content-Type: application/vnd.apache.parquet\r\n\r\n"
    )
    return "".join(parts).encode() + head.encode() + _parquet(rows) + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _parquet(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    return sink.getvalue()


def test_an_uploaded_list_is_crossmatched_as_fast_as_by_raw_duckdb(arena: Arena) -> None:
    rows = uploaded(arena)
    form, parquet = as_form(rows, "votable"), _parquet(rows)
    raw_sql = _RAW_SQL.format(objects=arena.raw.files("sky.objects"))

    def raw(_: int) -> int:
        with arena.raw.holding("mine", pq.read_table(io.BytesIO(parquet))):
            return arena.raw.fetch(raw_sql).num_rows

    def postgres(_: int) -> int:
        return len(_q3c_join(arena, rows))

    def ours(_: int) -> int:
        return arena.client.post("/api/tap/sync", form, media_type=_MEDIA_TYPE)

    pairs = raw(0)
    assert postgres(0) == pairs
    try:
        assert _rows_of_ours(arena, rows) == pairs
    except (RefusedError, OSError) as error:
        keep_unanswered(_NAME, str(error), paths=ANSWERS)
    trial = Trial.from_seconds(interleaved({"ours": ours, "raw": raw, "postgres": postgres}, rounds=_ROUNDS))
    note = f'within 1", {pairs} pairs; the upload in Parquet, and by COPY for PostgreSQL, counts'
    keep_beside_raw(_NAME, trial, paths=ANSWERS, note=note)


def _rows_of_ours(arena: Arena, rows: pa.Table) -> int:
    return arena.client.post("/api/tap/sync", as_form(rows, "csv"), media_type=_MEDIA_TYPE, read=rows_of)


def _q3c_join(arena: Arena, rows: pa.Table) -> list[tuple[Any, ...]]:
    columns = {"number": "bigint", "ra": "double precision", "dec": "double precision"}
    with arena.postgres.holding("mine", rows, columns):
        return arena.postgres.fetch(
            "SELECT u.number, o.id FROM mine AS u, objects AS o "
            f"WHERE q3c_join(u.ra, u.dec, o.ra, o.dec, {_RADIUS_DEG!r})"
        )
