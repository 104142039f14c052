"""Joins by position give what brute force gives, and never try all pairs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from pachon.core import healpix, healpix_grid
from pachon.core.fields import DataType, Field, arrow_schema
from pachon.core.sky import separation_deg
from pachon.identity.models import ANONYMOUS
from pachon.queries.adql.bind import Catalogue, bind
from pachon.queries.engines import duckdb_sql
from pachon.queries.engines.duckdb_worker import connect
from pachon.queries.plan import MemorySnapshot, Plan
from pachon.releases.models import Column, Table
from support.asking import Sky

_FIELDS = (
    Field(name="n", datatype=DataType.LONG),
    Field(name="ra", datatype=DataType.DOUBLE, unit="deg"),
    Field(name="dec", datatype=DataType.DOUBLE, unit="deg"),
    Field(name="err", datatype=DataType.DOUBLE, unit="deg"),
)
_SEPARATION_SLACK = 1e-12
"""Relative; pairs that near a boundary are either way."""

Pairs = set[tuple[int | None, ...]]


@dataclass
class Points:
    """A small table of positions with radii of their own."""

    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    err: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def snapshot(self, name: str) -> MemorySnapshot:
        err = self.err if len(self.err) else np.full(len(self.ra), 0.1)
        columns = [np.arange(len(self.ra)), *(pa.array(each, from_pandas=True) for each in (self.ra, self.dec, err))]
        table = Table(schema="up", name=name, description="", columns=tuple(Column(field=each) for each in _FIELDS))
        return MemorySnapshot(table, pa.table(dict(zip(("n", "ra", "dec", "err"), columns, strict=True))))


@dataclass
class Asker:
    """Asks about the small sky and tables at hand."""

    sky: Sky
    tables: dict[str, MemorySnapshot] = field(default_factory=dict)

    def bind(self, adql: str) -> Plan:
        stars = self.sky.releases.snapshot(ANONYMOUS, "sky.stars")
        known = {"sky.stars": stars, **self.tables}
        catalogue = Catalogue({name: each.table for name, each in known.items()}, known.__getitem__)
        return bind(adql, catalogue, max_rows=10_000_000)

    def ask(self, adql: str) -> pa.Table:
        plan = self.bind(adql)
        run = self.sky.engine.execute(plan, timeout_s=60)
        try:
            return pa.Table.from_batches(list(run), schema=arrow_schema(plan.fields))
        finally:
            run.close()

    def pairs(self, adql: str) -> list[tuple[int | None, ...]]:
        return sorted(
            zip(*(column.to_pylist() for column in self.ask(adql).columns), strict=True),
            key=lambda pair: tuple(-1 if each is None else each for each in pair),
        )

    def explain(self, adql: str) -> str:
        statement = duckdb_sql.write(self.bind(adql))
        config = {"folders": [str(self.sky.root)], "threads": 1, "memory_bytes": 10**9, "temp_folder": "x"}
        database = connect({**config, "temp_bytes": 0})
        try:
            for name, rows in statement.rows.items():
                database.register(name, rows)
            return str(database.execute(f"EXPLAIN {statement.sql}").fetchall()[0][1]).upper()
        finally:
            database.close()


@pytest.fixture(scope="module")
def asker(sky: Sky) -> Asker:
    return Asker(sky)


def distances(one: Points, two: Points) -> NDArray[np.float64]:
    rows = [separation_deg(two.ra, two.dec, float(ra), float(dec)) for ra, dec in zip(one.ra, one.dec, strict=True)]
    return np.array(rows).reshape(len(one.ra), len(two.ra))


def near(away: NDArray[np.float64], radius: NDArray[np.float64] | float) -> list[tuple[int | None, ...]]:
    return [(int(i), int(j)) for i, j in np.argwhere(away <= radius)]


def random_points(seed: int, rows: int, *, spread_deg: float, centre: tuple[float, float]) -> Points:
    """Points about a centre, some of them twice, some without a position."""
    random = np.random.default_rng(seed)
    ra = random.uniform(0, 360, rows)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, rows)))
    about = rows * 3 // 4
    ra[:about], dec[:about] = _about(centre, spread_deg * np.sqrt(random.random(about)), random.uniform(0, 360, about))
    ra[1], dec[1] = ra[0], dec[0]
    ra[2], dec[3] = np.nan, np.nan
    err = spread_deg * 10 ** random.uniform(-3, 0, rows)
    err[5], err[6] = np.nan, -1
    return Points(ra, dec, err)


def _about(
    centre: tuple[float, float], away_deg: NDArray[np.float64], angle_deg: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions at distances and angles from a centre, across poles and RA 0."""
    ra0, dec0 = np.radians(centre)
    away, angle = np.radians(away_deg), np.radians(angle_deg)
    dec = np.arcsin(np.clip(np.sin(dec0) * np.cos(away) + np.cos(dec0) * np.sin(away) * np.cos(angle), -1, 1))
    east = np.sin(angle) * np.sin(away) * np.cos(dec0)
    ra = ra0 + np.arctan2(east, np.cos(away) - np.sin(dec0) * np.sin(dec))
    return np.degrees(ra) % 360, np.degrees(dec)


CENTRES = [(0.0, 90.0), (77.0, -90.0), (0.0, 0.0), (359.9999, 12.0), (45.0, 41.8103149), (90.0, 60.0), (200.0, -41.81)]
"""Poles, RA 0, corners and edges of base pixels."""


def any_centre(random: np.random.Generator) -> tuple[float, float]:
    """One of those, or anywhere."""
    anywhere = float(random.uniform(0, 360)), float(random.uniform(-90, 90))
    return [*CENTRES, anywhere, anywhere][random.integers(len(CENTRES) + 2)]


@pytest.mark.parametrize("seed", range(24))
def test_every_kind_and_spelling_of_a_join_by_position_equals_brute_force(asker: Asker, seed: int) -> None:
    random = np.random.default_rng(seed)
    centre, radius = any_centre(random), 10 ** random.uniform(-5.5, 1.5)
    spread = min(5 * radius, 170.0)
    one = random_points(seed, 60, spread_deg=spread, centre=centre)
    two = random_points(seed + 1, 90, spread_deg=spread, centre=centre)
    asker.tables = {"up.one": one.snapshot("one"), "up.two": two.snapshot("two")}
    away = distances(one, two)
    pairs = near(away, radius)
    names = "SELECT a.n, b.n AS m FROM up.one AS a"
    here = "DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec))"
    for adql in (
        f"{names} JOIN up.two AS b ON {here} <= {radius}",
        f"{names}, up.two AS b WHERE {radius} >= {here}",
        f"{names}, up.two AS b WHERE NOT ({here} > {radius})",
        f"{names}, up.two AS b WHERE 1 = CONTAINS(POINT(b.ra, b.dec), CIRCLE(a.ra, a.dec, {min(radius, 180)}))",
        f"{names} JOIN up.two AS b ON DISTANCE(b.ra, b.dec, a.ra, a.dec) * 3600 <= {radius} * 3600",
    ):
        assert_same(asker.pairs(adql), pairs, away, radius)
    alone = [(i, None) for i in range(60) if not (away[i] <= radius).any()]
    assert_same(asker.pairs(f"{names} LEFT JOIN up.two AS b ON {here} <= {radius}"), pairs + alone, away, radius)
    other = [(None, j) for j in range(90) if not (away[:, j] <= radius).any()]
    assert_same(asker.pairs(f"{names} RIGHT JOIN up.two AS b ON {here} <= {radius}"), pairs + other, away, radius)


def assert_same(
    found: list[tuple[int | None, ...]],
    expected: list[tuple[int | None, ...]],
    away: NDArray[np.float64],
    radius: NDArray[np.float64] | float,
) -> None:
    """Equal, each pair once; unless a distance is within rounding of the radius, which nobody can tell apart."""
    edge = np.abs(away - radius) <= 1e-9 * np.abs(radius) + 1e-13  # a ten-thousandth of a micro arc second
    if not edge.any():
        assert found == sorted(expected, key=lambda pair: tuple(-1 if each is None else each for each in pair))


@pytest.mark.parametrize("spread", [1e-3, 1.0, 60.0])
@pytest.mark.parametrize("seed", range(5))
def test_radii_of_one_side_may_differ_from_row_to_row(asker: Asker, seed: int, spread: float) -> None:
    centre = any_centre(np.random.default_rng(seed))
    one = random_points(seed, 60, spread_deg=spread, centre=centre)
    two = random_points(seed + 1, 90, spread_deg=spread, centre=centre)
    asker.tables = {"up.one": one.snapshot("one"), "up.two": two.snapshot("two")}
    away = distances(one, two)
    names = "SELECT a.n, b.n AS m FROM up.one AS a"
    here = "DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec))"
    wide = np.broadcast_to((2 * one.err)[:, None], away.shape)
    pairs, alone = near(away, wide), [(i, None) for i in range(60) if not (away[i] <= wide[i]).any()]
    assert_same(asker.pairs(f"{names}, up.two AS b WHERE {here} <= 2 * a.err"), pairs, away, wide)
    assert_same(asker.pairs(f"{names} LEFT JOIN up.two AS b ON {here} <= 2 * a.err"), pairs + alone, away, wide)
    theirs = np.broadcast_to(two.err[None, :], away.shape)
    pairs, alone = near(away, theirs), [(i, None) for i in range(60) if not (away[i] <= theirs[i]).any()]
    for how, expected in (("JOIN", pairs), ("LEFT JOIN", pairs + alone)):
        assert_same(asker.pairs(f"{names} {how} up.two AS b ON {here} <= b.err"), expected, away, theirs)


def clumps(sky: Sky) -> Points:
    return Points(sky.column("ra"), sky.column("dec"))


STARS = "(SELECT TOP 3000 id, ra, dec FROM sky.stars ORDER BY id)"


@pytest.mark.parametrize(
    "stars",
    [
        "sky.stars AS b",
        "(SELECT id, dec AS y, ra AS x, ra, dec FROM (SELECT id, ra, dec FROM sky.stars) AS i) AS b",
        "(SELECT id, ra + 0 AS ra, dec FROM sky.stars) AS b",
        "(SELECT id, MIN(ra) AS ra, MAX(dec) AS dec FROM sky.stars GROUP BY id) AS b",
        "common AS b",
    ],
    ids=["stored", "traced", "computed", "grouped", "named"],
)
@pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN"])
def test_positions_are_found_through_derived_and_named_queries(asker: Asker, stars: str, kind: str) -> None:
    sky = asker.sky
    mine = random_points(8, 300, spread_deg=1.5, centre=(0.0, 90.0))
    asker.tables = {"up.one": mine.snapshot("one")}
    away = distances(mine, clumps(sky))
    ids = sky.column("id")
    expected = [(i, int(ids[j or 0])) for i, j in near(away, 0.02)]
    assert len(expected) > 50
    if kind == "LEFT JOIN":
        expected += [(i, None) for i in range(300) if not (away[i] <= 0.02).any()]
    found = asker.pairs(
        "WITH common AS (SELECT id, ra, dec FROM sky.stars) "
        f"SELECT a.n, b.id FROM up.one AS a {kind} {stars} ON DISTANCE(a.ra, a.dec, b.ra, b.dec) <= 0.02"
    )
    assert found == sorted(expected, key=lambda pair: (pair[0] or 0, pair[1] or -1))


def test_a_self_join_finds_each_neighbour_and_a_chain_finds_each_path(asker: Asker) -> None:
    sky = asker.sky
    where = "DISTANCE(a.ra, a.dec, 0, 90) < 0.3"
    inside = np.flatnonzero(separation_deg(sky.column("ra"), sky.column("dec"), 0, 90) < 0.3)
    away = np.array(
        [separation_deg(sky.column("ra"), sky.column("dec"), ra, dec) for ra, dec in _positions(sky, inside)]
    )
    close = away < 0.01
    ids = sky.column("id")
    pairs = [(int(ids[inside[i]]), int(ids[j])) for i, j in np.argwhere(close) if inside[i] != j]
    found = asker.pairs(
        f"SELECT a.id, b.id AS m FROM sky.stars AS a, sky.stars AS b WHERE {where} AND a.id <> b.id "
        "AND DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.01"
    )
    assert found == sorted(pairs)
    mine = random_points(9, 40, spread_deg=0.3, centre=(0.0, 90.0))
    asker.tables = {"up.one": mine.snapshot("one")}
    first = distances(mine, Points(sky.column("ra")[inside], sky.column("dec")[inside])) < 0.02
    paths = int((first.astype(np.int64) @ close.sum(axis=1)).sum())
    assert paths > 100
    chain = (
        f"SELECT COUNT(*) AS n FROM up.one AS u, sky.stars AS a, sky.stars AS b WHERE {where} "
        "AND DISTANCE(u.ra, u.dec, a.ra, a.dec) < 0.02 AND DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.01"
    )
    assert asker.ask(chain)["n"][0].as_py() == paths


def _positions(sky: Sky, rows: NDArray[np.int64]) -> list[tuple[float, float]]:
    return list(zip(sky.column("ra")[rows].tolist(), sky.column("dec")[rows].tolist(), strict=True))


def test_the_nearest_neighbour_is_the_least_distance_of_a_group(asker: Asker) -> None:
    sky = asker.sky
    mine = random_points(10, 200, spread_deg=0.5, centre=(0.0, 10.0))
    asker.tables = {"up.one": mine.snapshot("one")}
    found = asker.ask(
        "SELECT a.n, MIN(DISTANCE(a.ra, a.dec, b.ra, b.dec)) AS away FROM up.one AS a, sky.stars AS b "
        "WHERE DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.1 GROUP BY a.n ORDER BY a.n"
    )
    away = np.nan_to_num(distances(mine, clumps(sky)), nan=999).min(axis=1)
    expected = np.flatnonzero(away < 0.1)
    assert found["n"].to_pylist() == expected.tolist()
    assert found["away"].to_numpy() == pytest.approx(away[expected], rel=1e-6, abs=1e-12)


JOINS: list[str] = [
    "sky.stars AS a, sky.stars AS b WHERE DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.001",
    "sky.stars AS a JOIN sky.stars AS b ON NOT DISTANCE(a.ra, a.dec, b.ra, b.dec) > 0.001",
    "up.one AS a LEFT JOIN sky.stars AS b ON DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.001",
    "sky.stars AS a LEFT JOIN up.one AS b ON DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.001",
    "up.one AS a, sky.stars AS b WHERE DISTANCE(a.ra, a.dec, b.ra, b.dec) < a.err",
    "sky.stars AS a JOIN sky.stars AS c ON a.id = c.id JOIN sky.stars AS b ON DISTANCE(c.ra, c.dec, b.ra, b.dec) < 1",
]


@pytest.mark.parametrize("join", JOINS)
def test_the_engine_joins_by_hash_and_never_by_nested_loops(asker: Asker, join: str) -> None:
    asker.tables = {"up.one": random_points(3, 50, spread_deg=1, centre=(10, 10)).snapshot("one")}
    plan = asker.explain(f"SELECT a.ra, b.dec FROM {join}")
    assert "HASH JOIN" in plan
    for slow in ("NESTED", "BLOCKWISE", "PIECEWISE"):
        assert slow not in plan


def test_files_far_from_the_known_side_are_not_opened(asker: Asker) -> None:
    asker.tables = {"up.one": Points(np.array([40.0, 41.0]), np.array([5.0, 5.5])).snapshot("one")}
    pair = "DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.01"
    for adql in (
        f"SELECT b.id FROM up.one AS a, sky.stars AS b WHERE {pair}",
        f"SELECT b.id FROM sky.stars AS a, sky.stars AS b WHERE {pair} AND DISTANCE(a.ra, a.dec, 40, 5) < 1",
        f"SELECT b.id FROM up.one AS a LEFT JOIN sky.stars AS b ON {pair}",
    ):
        for scan in asker.bind(adql).scans:
            if scan.snapshot.table.name == "stars":
                assert scan.ranges is not None
                assert sum(stop - start for start, stop in scan.ranges) < 12 * 4**29 / 500
    kept = asker.bind(f"SELECT b.id FROM sky.stars AS b LEFT JOIN up.one AS a ON {pair}")
    assert kept.scans[0].ranges is None


def test_a_crossmatch_of_many_rows_takes_seconds(asker: Asker) -> None:
    one = random_points(1, 20_000, spread_deg=20, centre=(30, -50))
    two = random_points(2, 200_000, spread_deg=20, centre=(30, -50))
    two.ra[:10_000], two.dec[:10_000] = one.ra[:10_000], one.dec[:10_000]
    asker.tables = {"up.one": one.snapshot("one"), "up.two": two.snapshot("two")}
    started = time.monotonic()
    found = asker.ask(
        "SELECT a.n, b.n AS m FROM up.one AS a, up.two AS b WHERE DISTANCE(a.ra, a.dec, b.ra, b.dec) < 1/3600."
    )
    assert time.monotonic() - started < 20
    same = {(i, i) for i in range(10_000) if i not in {2, 3}}
    assert same <= set(zip(found["n"].to_pylist(), found["m"].to_pylist(), strict=True))
    assert found.num_rows < 13_000


@pytest.mark.parametrize(
    "condition",
    [
        "DISTANCE(a.ra, a.dec, b.ra, b.dec) > 0.1",
        "NOT DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.1",
        "DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.1 OR a.n = 1",
        "DISTANCE(a.ra, a.dec, b.ra, b.dec) < a.err + b.err",
        "DISTANCE(a.ra, a.dec, b.ra, b.dec) < 60",
        "DISTANCE(a.ra, a.dec, b.ra, b.dec) * -1 < 0.1",
        "CAST(DISTANCE(a.ra, a.dec, b.ra, b.dec) AS INTEGER) < 1",
    ],
)
def test_conditions_that_do_not_bound_the_distance_give_no_promise(asker: Asker, condition: str) -> None:
    one, two = (random_points(seed, 30, spread_deg=0.3, centre=(5, 5)) for seed in (1, 2))
    asker.tables = {"up.one": one.snapshot("one"), "up.two": two.snapshot("two")}
    plan = asker.bind(f"SELECT a.n FROM up.one AS a, up.two AS b WHERE {condition}")
    assert "near=Near" not in repr(plan.query)


@pytest.mark.parametrize("seed", range(300))
def test_the_pixels_of_a_disc_hold_all_of_it(seed: int) -> None:
    random = np.random.default_rng(seed)
    centre, radius = any_centre(random), 10 ** random.uniform(-6, 1.05, 1)
    ra0, dec0 = _about(centre, random.exponential(radius), random.uniform(0, 360, 1))
    order = healpix_grid.orders_for(radius)
    rows, pixels = healpix_grid.disc_pixels(ra0, dec0, radius, order)
    inside = radius * (1 - 1e-9) * np.minimum(np.sqrt(random.uniform(0, 2, 500)), 1)
    ra, dec = _about((float(ra0[0]), float(dec0[0])), inside, random.uniform(0, 360, 500))
    assert set(healpix.pixel_of(ra, dec, order=int(order[0])).tolist()) <= set(pixels.tolist())
    assert len(set(pixels.tolist())) == len(pixels) <= 40
    assert not rows.any()


def test_pixels_agree_with_the_library() -> None:
    random = np.random.default_rng(4)
    ra, dec = random.uniform(-360, 720, 100_000), np.degrees(np.arcsin(random.uniform(-1, 1, 100_000)))
    mine, theirs = healpix_grid.pixel_of(ra, dec), healpix.spatial_index(ra % 360, dec)
    assert np.array_equal(mine >> 8, theirs >> 8)
    over = healpix_grid.pixel_of(np.array([10.0]), np.array([91.0]))
    assert over[0] >> 8 == healpix_grid.pixel_of(np.array([190.0]), np.array([89.0]))[0] >> 8
    assert healpix_grid.pixel_of(np.array([np.nan]), np.array([1.0])).tolist() == [-1]
