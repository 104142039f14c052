"""One query at a time: ours end to end, raw DuckDB and PostgreSQL with q3c, taking turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from bench.tap.conftest import Arena
from bench.tap.record import ANSWERS, Trial, keep_beside_raw, keep_factor
from bench.tap.server import rows_of
from bench.timing import interleaved
from pachon.core.sky import Cone

_WARM_UP = 10
_CENTRES = 100
_SCANS = 12
_RADII_DEG = {"1'": 1 / 60, "10'": 10 / 60, "1 deg": 1.0}
_MAX_ROWS = 1_000_000

pytestmark = [
    pytest.mark.stack,
    pytest.mark.catalogues,
    pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning"),
]


@dataclass(frozen=True)
class Catalogue:
    """A table by its name in ADQL and in PostgreSQL, and the magnitudes that a scan bins and averages."""

    title: str
    table: str
    rival_table: str
    binned: str
    averaged: str


CATALOGUES = [
    pytest.param(Catalogue("10 M rows", "sky.objects", "objects", "r_mag", "g_mag"), id="objects"),
    pytest.param(Catalogue("Tycho-2", "tycho2.stars", "stars", "vt_mag", "bt_mag"), id="tycho2"),
]


def centres(count: int, radius_deg: float) -> list[Cone]:
    """Cones all over the sky, the same in every run."""
    random = np.random.default_rng(20261125)
    ra, z = random.uniform(0, 360, count), random.uniform(-1, 1, count)
    return [Cone(float(lon), float(lat), radius_deg) for lon, lat in zip(ra, np.degrees(np.arcsin(z)), strict=True)]


def measure(candidates: dict[str, Callable[[int], object]], *, rounds: int) -> Trial:
    interleaved(candidates, rounds=min(rounds, _WARM_UP))
    return Trial.from_seconds(interleaved(candidates, rounds=rounds))


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_the_first_row_comes_at_once(arena: Arena, catalogue: Catalogue) -> None:
    columns = ", ".join(column.name for column in arena.raw.snapshot(catalogue.table).table.columns)
    raw_sql = f"SELECT {columns} FROM {arena.raw.files(catalogue.table)} LIMIT 1"
    trial = measure(
        {
            "ours": lambda _: arena.client.tap(f"SELECT TOP 1 * FROM {catalogue.table}"),
            "raw": lambda _: arena.raw.fetch(raw_sql),
            "postgres": lambda _: arena.postgres.fetch(f"SELECT * FROM {catalogue.rival_table} LIMIT 1"),
        },
        rounds=_CENTRES,
    )
    keep_beside_raw(f"TOP 1, {catalogue.title}", trial, paths=ANSWERS, note="all columns")


@pytest.mark.parametrize("size", _RADII_DEG)
@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_a_cone_costs_little_more_than_raw_duckdb(arena: Arena, catalogue: Catalogue, size: str) -> None:
    cones = centres(_CENTRES, _RADII_DEG[size])
    raw_sql = [arena.raw.cone_sql(catalogue.table, cone) for cone in cones]
    rows = [arena.raw.fetch(sql).num_rows for sql in raw_sql]
    assert [len(arena.postgres.fetch(_q3c_cone(catalogue, cone))) for cone in cones] == rows
    assert [_rows_of_ours(arena, catalogue, cone) for cone in cones] == rows
    trial = measure(
        {
            "ours": lambda number: arena.client.tap(_adql_cone(catalogue, cones[number]), MAXREC=_MAX_ROWS),
            "raw": lambda number: arena.raw.fetch(raw_sql[number]),
            "postgres": lambda number: arena.postgres.fetch(_q3c_cone(catalogue, cones[number])),
        },
        rounds=_CENTRES,
    )
    note = f"{_CENTRES} random centres, all columns, {sum(rows)} rows"
    keep_beside_raw(f"cone {size}, {catalogue.title}", trial, paths=ANSWERS, note=note)


def _rows_of_ours(arena: Arena, catalogue: Catalogue, cone: Cone) -> int:
    return arena.client.tap(_adql_cone(catalogue, cone), read=rows_of, MAXREC=_MAX_ROWS, RESPONSEFORMAT="csv")


def _adql_cone(catalogue: Catalogue, cone: Cone) -> str:
    circle = f"CIRCLE({cone.ra_deg!r}, {cone.dec_deg!r}, {cone.radius_deg!r})"
    return f"SELECT * FROM {catalogue.table} WHERE 1 = CONTAINS(POINT(ra, dec), {circle})"


def _q3c_cone(catalogue: Catalogue, cone: Cone) -> str:
    circle = f"{cone.ra_deg!r}, {cone.dec_deg!r}, {cone.radius_deg!r}"
    return f"SELECT * FROM {catalogue.rival_table} WHERE q3c_radial_query(ra, dec, {circle})"


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_a_scan_is_far_ahead_of_postgresql(arena: Arena, catalogue: Catalogue) -> None:
    bins, mean = f"FLOOR({catalogue.binned})", f"AVG({catalogue.averaged})"
    trial = measure(
        {
            "ours": lambda _: arena.client.tap(scan_of(catalogue)),
            "raw": lambda _: arena.raw.fetch(
                f"SELECT {bins}, COUNT(*), {mean} FROM {arena.raw.files(catalogue.table)} GROUP BY 1"
            ),
            "postgres": lambda _: arena.postgres.fetch(
                f"SELECT {bins}, COUNT(*), {mean} FROM {catalogue.rival_table} GROUP BY 1"
            ),
        },
        rounds=_SCANS,
    )
    note = "count and mean by magnitude bin"
    keep_beside_raw(f"full scan, {catalogue.title}", trial, paths=ANSWERS, note=note)
    keep_factor(f"full scan ahead of PostgreSQL, {catalogue.title}", trial, least=8, paths=ANSWERS, note=note)


def scan_of(catalogue: Catalogue) -> str:
    """Counts and means by bin of one magnitude, of all rows."""
    bins = f"FLOOR({catalogue.binned})"
    return f"SELECT {bins} AS bin, COUNT(*) AS n, AVG({catalogue.averaged}) AS m FROM {catalogue.table} GROUP BY {bins}"
