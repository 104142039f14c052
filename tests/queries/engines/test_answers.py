"""Answers equal brute force over the same rows, and are what ADQL 2.1 says."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pachon.core.fields import DataType
from pachon.core.sky import Cone, separation_deg
from pachon.identity.models import ANONYMOUS
from pachon.queries.adql.bind import bind
from support.asking import Sky

POINT = "POINT('ICRS', ra, dec)"
CENTRES = [(0.0, 90.0), (211.0, -90.0), (0.0, 10.0), (359.9, 10.2), (40.0, 89.8), (123.4, -45.6)]


def ids(table: pa.Table) -> set[int]:
    return set(table["id"].to_pylist())


def picked(sky: Sky, mask: np.ndarray) -> set[int]:
    return set(sky.column("id")[mask].tolist())


def one(sky: Sky, expression: str) -> object:
    return sky.ask(f"SELECT TOP 1 {expression} AS x FROM sky.stars")["x"][0].as_py()


@pytest.mark.parametrize("centre", CENTRES)
@pytest.mark.parametrize("radius", [0.0, 0.05, 1.0, 40.0, 180.0])
def test_every_spelling_of_a_cone_finds_what_brute_force_finds(
    sky: Sky, centre: tuple[float, float], radius: float
) -> None:
    ra, dec = sky.column("ra"), sky.column("dec")
    expected = picked(sky, Cone(*centre, radius).contains(ra, dec))
    lon, lat = centre
    for condition in (
        f"CONTAINS({POINT}, CIRCLE('ICRS', {lon}, {lat}, {radius})) = 1",
        f"1 = INTERSECTS(CIRCLE(POINT({lon}, {lat}), {radius}), POINT(ra, dec))",
        f"NOT CONTAINS({POINT}, CIRCLE({lon}, {lat}, {radius})) = 0",
    ):
        assert ids(sky.ask(f"SELECT id FROM sky.stars WHERE {condition}")) == expected
    service = sky.service()
    answer = service.start(service.prepare_cone(ANONYMOUS, "SKY.Stars", Cone(*centre, radius), columns=("id",)))
    assert {each for batch in answer.batches for each in batch["id"].to_pylist()} == expected
    answer.close()


@pytest.mark.parametrize("centre", CENTRES)
def test_distances_prune_only_what_they_may(sky: Sky, centre: tuple[float, float]) -> None:
    away = separation_deg(sky.column("ra"), sky.column("dec"), *centre)
    lon, lat = centre
    here = f"DISTANCE(POINT(ra, dec), POINT({lon}, {lat}))"
    cases = {
        f"{here} < 0.5": away < 0.5,
        f"0.5 >= DISTANCE(ra, dec, {lon}, {lat})": away <= 0.5,
        f"{here} > 0.5": away > 0.5,
        f"NOT {here} < 0.5": ~(away < 0.5),
        f"{here} BETWEEN 0.2 AND 0.5": (away >= 0.2) & (away <= 0.5),
        f"{here} < 0.5 OR g_mag < 14.5": (away < 0.5) | _below(sky, 14.5),
        f"{here} < 0.5 AND NOT (g_mag < 20)": (away < 0.5) & _not_below(sky, 20),
        f"{here} < -1": away < -1,
        f"{here} < 0.5 OR DISTANCE(ra, dec, 180, 5) < 20": (away < 0.5)
        | (separation_deg(sky.column("ra"), sky.column("dec"), 180, 5) < 20),
        f"{here} < 30 AND DISTANCE(ra, dec, {(lon + 20) % 360}, {lat}) < 30": (away < 30)
        & (separation_deg(sky.column("ra"), sky.column("dec"), lon + 20, lat) < 30),
        f"{here} + (r_mag - 30) < 3": away + sky.column("r_mag").astype(np.float64) - 30 < 3,
        f"NOT {here} + r_mag / 20 < 30": away + sky.column("r_mag").astype(np.float64) / 20 >= 30,
        f"0 = CONTAINS(CIRCLE(ra, dec, r_mag / 20), CIRCLE({lon}, {lat}, 30))": away
        + sky.column("r_mag").astype(np.float64) / 20
        > 30,
        f"{here} < g_mag / 20": away < np.nan_to_num(sky.column("g_mag").astype(np.float64), nan=-1) / 20,
    }
    for condition, mask in cases.items():
        assert ids(sky.ask(f"SELECT id FROM sky.stars WHERE {condition}")) == picked(sky, mask), condition


def _below(sky: Sky, limit: float) -> np.ndarray:
    return sky.column("g_mag").astype(np.float64) < limit


def _not_below(sky: Sky, limit: float) -> np.ndarray:
    values = sky.column("g_mag").astype(np.float64)
    return ~np.isnan(values) & (values >= limit)


def _vectors(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def _in_convex(sky: Sky, vertices: list[tuple[float, float]]) -> np.ndarray:
    corners = _vectors(*np.array(vertices, dtype=float).T)
    normals = np.cross(corners, np.roll(corners, -1, axis=0))
    stars = _vectors(sky.column("ra"), sky.column("dec"))
    sides = stars @ normals.T
    return (np.all(sides >= 0, axis=1) | np.all(sides <= 0, axis=1)) & (stars @ corners.sum(axis=0) > 0)


@pytest.mark.parametrize(
    "vertices",
    [
        [(359, 9), (1, 9), (1.5, 11), (359.5, 11)],
        [(0, 88), (90, 88), (180, 88), (270, 88)],
        [(300, -80), (20, -89), (100, -75)],
        [(20, -40), (100, -50), (60, 30)],
    ],
    ids=["across RA 0", "round the pole", "near the south pole", "wide"],
)
def test_convex_polygons_equal_half_spaces(sky: Sky, vertices: list[tuple[float, float]]) -> None:
    numbers = ", ".join(f"{ra}, {dec}" for ra, dec in vertices)
    points = ", ".join(f"POINT({ra}, {dec})" for ra, dec in vertices)
    expected = picked(sky, _in_convex(sky, vertices))
    assert 0 < len(expected) < sky.rows.num_rows
    for corners in (numbers, points):
        found = sky.ask(f"SELECT id FROM sky.stars WHERE 1 = CONTAINS({POINT}, POLYGON({corners}))")
        assert ids(found) == expected


def test_a_polygon_with_a_notch_is_two_triangles_joined(sky: Sky) -> None:
    notch = "358, 8, 2, 8, 0, 10, 2, 12, 358, 12"
    parts = [[(358, 8), (2, 8), (0, 10)], [(358, 8), (0, 10), (358, 12)], [(0, 10), (2, 12), (358, 12)]]
    expected = picked(sky, np.any([_in_convex(sky, part) for part in parts], axis=0))
    assert ids(sky.ask(f"SELECT id FROM sky.stars WHERE 1 = CONTAINS({POINT}, POLYGON({notch}))")) == expected


@pytest.mark.parametrize("corners", ["1, 1, 1, 1, 1, 1", "10, 0, 11, 0, 12, 0"])
def test_a_polygon_without_area_holds_nothing(sky: Sky, corners: str) -> None:
    assert ids(sky.ask(f"SELECT id FROM sky.stars WHERE 1 = CONTAINS({POINT}, POLYGON({corners}))")) == set()


@pytest.mark.parametrize(("lon", "lat", "width", "height"), [(0, 10, 3, 2), (30, 89.5, 2, 4), (77, -20, 150, 100)])
def test_a_box_has_great_circles_for_sides(sky: Sky, lon: float, lat: float, width: float, height: float) -> None:
    d_ra, dec, dec0 = np.radians(sky.column("ra") - lon), np.radians(sky.column("dec")), math.radians(lat)
    x = np.sin(dec) * math.sin(dec0) + np.cos(dec) * math.cos(dec0) * np.cos(d_ra)
    y = np.cos(dec) * np.sin(d_ra)
    z = np.sin(dec) * math.cos(dec0) - np.cos(dec) * math.sin(dec0) * np.cos(d_ra)
    half = np.radians([width / 2, height / 2])
    expected = picked(sky, (x > 0) & (np.abs(np.arctan2(y, x)) <= half[0]) & (np.abs(np.arctan2(z, x)) <= half[1]))
    for box in (f"BOX({lon}, {lat}, {width}, {height})", f"BOX(POINT({lon} + 0 * ra, {lat}), {width}, {height})"):
        assert ids(sky.ask(f"SELECT id FROM sky.stars WHERE CONTAINS({POINT}, {box}) = 1")) == expected


def test_a_constant_cone_opens_only_the_files_it_touches(sky: Sky) -> None:
    catalogue = sky.service()._catalogue(ANONYMOUS)
    (scan,) = bind("SELECT id FROM sky.stars WHERE DISTANCE(ra, dec, 40, 0.5) < 10/60.", catalogue).scans
    assert scan.ranges is not None
    assert sum(high - low for low, high in scan.ranges) < 12 * 4**29 / 10_000
    condition = "DISTANCE(ra, dec, 40, 0.5) < 1 OR g_mag > 3"
    assert bind(f"SELECT id FROM sky.stars WHERE {condition}", catalogue).scans[0].ranges is None


def test_pruning_respects_the_optional_side_of_a_join(sky: Sky) -> None:
    near = separation_deg(sky.column("ra"), sky.column("dec"), 0, 10) < 0.2
    left = "SELECT a.id, b.id AS other FROM sky.stars AS a LEFT JOIN sky.stars AS b ON a.id = b.id"
    on = sky.ask(f"{left} AND DISTANCE(b.ra, b.dec, 0, 10) < 0.2")
    assert on.num_rows == sky.rows.num_rows
    assert set(on.filter(pc.is_valid(on["other"]))["id"].to_pylist()) == picked(sky, near)
    on_left = sky.ask(f"{left} AND DISTANCE(a.ra, a.dec, 0, 10) < 0.2")
    assert on_left.num_rows == sky.rows.num_rows
    assert ids(sky.ask(f"{left} WHERE DISTANCE(b.ra, b.dec, 0, 10) < 0.2")) == picked(sky, near)


def test_a_crossmatch_by_distance_finds_every_pair(sky: Sky) -> None:
    clump = "SELECT id, ra, dec FROM sky.stars WHERE DISTANCE(ra, dec, 0, 90) < 0.2"
    pairs = sky.ask(
        f"SELECT a.id, b.id AS other FROM ({clump}) AS a JOIN ({clump}) AS b "
        "ON DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec)) < 0.01"
    )
    near = separation_deg(sky.column("ra"), sky.column("dec"), 0, 90) < 0.2
    ra, dec, names = sky.column("ra")[near], sky.column("dec")[near], sky.column("id")[near]
    away = np.array([separation_deg(ra, dec, *each) for each in zip(ra, dec, strict=True)])
    expected = {(int(names[i]), int(names[j])) for i, j in np.argwhere(away < 0.01)}
    assert set(zip(pairs["id"].to_pylist(), pairs["other"].to_pylist(), strict=True)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("5 / 2", 2),
        ("-7 / 2", -3),
        ("(id - id + 7) / -2", -3),
        ("5 / 2.0", 2.5),
        ("0.1 + 0.2", 0.1 + 0.2),
        ("2 * 3 + 4", 10),
        ("MOD(-7, 3)", -1),
        ("MOD(7.5, 2)", 1.5),
        ("LOG(EXP(2))", 2.0),
        ("LOG10(1000)", 3.0),
        ("LOG(0 * ra - 1)", None),
        ("SQRT(0 * ra - 1)", None),
        ("id / (id - id)", None),
        ("ROUND(2.345, 2)", 2.35),
        ("ROUND(2.345, 10000000000)", 2.345),
        ("ROUND(-2.5)", -3.0),
        ("TRUNCATE(-1.256, 2)", -1.25),
        ("TRUNCATE(7.9)", 7.0),
        ("TRUNCATE(7.9, 10000000000)", 7.9),
        ("TRUNCATE(7.9, -10000000000)", 0.0),
        ("CEILING(-1.5)", -1.0),
        ("FLOOR(-1.5)", -2.0),
        ("ABS(-3)", 3),
        ("POWER(2, 10)", 1024.0),
        ("DEGREES(PI())", 180.0),
        ("ATAN2(1, 1)", math.pi / 4),
        ("COT(PI() / 4)", 1.0),
        ("UPPER('abc') || LOWER('DEF') || 'it''s'", "ABCdefit's"),
        ("COALESCE(NULL, 3, 4)", 3),
        ("COALESCE(NULL, 3, 4.5)", 3.0),
        ("CAST(2.9 AS INTEGER)", 2),
        ("CAST('12' AS BIGINT) + 1", 13),
        ("CAST(12 AS VARCHAR)", "12"),
        ("CAST(1 AS DOUBLE PRECISION) / 2", 0.5),
        ("9007199254740993", 9007199254740993),
        ("-9223372036854775808", -(2**63)),
        ("DISTANCE(0, 0, 0, 90)", 90.0),
        ("DISTANCE(POINT(359, 0), POINT(1, 0))", 2.0),
        ("COORD1(POINT(-10, 2))", -10.0),
        ("COORD2(CENTROID(CIRCLE(1, 2, 3)))", 2.0),
        ("AREA(CIRCLE(0, 0, 180))", 4 * math.pi * math.degrees(1) ** 2),
        ("CONTAINS(CIRCLE(1, 1, 1), CIRCLE(1, 1, 2))", 1),
        ("INTERSECTS(CIRCLE(0, 0, 1), CIRCLE(3, 0, 1))", 0),
        ("POINT(1, 2)", [1.0, 2.0]),
        ("CIRCLE(1, 2, 3)", [1.0, 2.0, 3.0]),
    ],
)
def test_expressions_have_the_value_the_standard_gives(sky: Sky, expression: str, expected: object) -> None:
    found = one(sky, expression)
    if isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-12)
    else:
        assert found == expected
        assert type(found) is type(expected)


def test_units_follow_columns_and_in_unit_converts_them(sky: Sky) -> None:
    answer = sky.service().ask(
        ANONYMOUS, "SELECT TOP 1 ra, IN_UNIT(ra, 'arcmin') AS m, MAX(ra) AS most FROM sky.stars GROUP BY ra"
    )
    batch = next(answer.batches)
    answer.close()
    assert [field.unit for field in answer.fields] == ["deg", "arcmin", "deg"]
    assert answer.fields[0].ucd == "pos.eq.ra;meta.main"
    assert batch["m"][0].as_py() == pytest.approx(60 * batch["ra"][0].as_py())


@pytest.mark.parametrize("condition", ["id IN (0.5, {id}, 1e300)", "id IN ({id}.0, 3)", "id = {id}.0"])
def test_decimals_beside_large_ids_find_no_neighbour(sky: Sky, condition: str) -> None:
    even = int(min(each for each in sky.column("id").tolist() if each > 2**53 and each % 2 == 0))
    near = f"SELECT id FROM sky.stars WHERE {condition.format(id=even)}"
    assert even + 1 in sky.column("id")
    assert ids(sky.ask(near)) == {even}


def test_types_arrive_as_they_are_stored(sky: Sky) -> None:
    found = sky.ask("SELECT * FROM sky.stars ORDER BY id")
    assert found.equals(sky.rows.sort_by("id"))
    assert found.schema.field("id").type == pa.int64()
    assert found["id"][0].as_py() > 2**53


def test_conditions_follow_three_valued_logic(sky: Sky) -> None:
    name, g_mag = sky.rows["name"], sky.rows["g_mag"]
    missing = pc.is_null(name).to_numpy()
    cases = {
        "name IS NULL": missing,
        "name IS NOT NULL AND name LIKE 'Star 1_'": [
            bool(n) and len(n) == 7 and n.startswith("Star 1") for n in name.to_pylist()
        ],
        "name ILIKE 'sTAR 99%'": [bool(n) and n.startswith("Star 99") for n in name.to_pylist()],
        "name NOT LIKE 'Star%'": np.zeros(len(name), dtype=bool),
        "g_mag BETWEEN 15 AND 16": pc.fill_null(
            pc.and_(pc.greater_equal(g_mag, 15), pc.less_equal(g_mag, 16)), fill_value=False
        ).to_numpy(),
        "NOT g_mag BETWEEN 15 AND 16": pc.fill_null(
            pc.or_(pc.less(g_mag, 15), pc.greater(g_mag, 16)), fill_value=False
        ).to_numpy(),
        "g_mag NOT IN (1, NULL)": np.zeros(len(name), dtype=bool),
        "is_variable = TRUE": sky.column("is_variable").astype(bool),
        "is_variable <> 1": ~sky.column("is_variable").astype(bool),
        "epoch < '2026-01-01T00:00:00'": sky.column("epoch") < np.datetime64("2026-01-01"),
        "name IN ('Star 3', 'Star 4')": [n in {"Star 3", "Star 4"} for n in name.to_pylist()],
    }
    for condition, mask in cases.items():
        assert ids(sky.ask(f"SELECT id FROM sky.stars WHERE {condition}")) == picked(sky, np.asarray(mask)), condition


def test_groups_equal_brute_force(sky: Sky) -> None:
    found = sky.ask(
        "SELECT FLOOR(r_mag) AS bin, COUNT(*) AS n, COUNT(g_mag) AS m, AVG(g_mag) AS mean, MIN(id) AS lowest, "
        "COUNT(DISTINCT name) AS kinds FROM sky.stars GROUP BY FLOOR(r_mag) HAVING COUNT(*) > 50 ORDER BY bin DESC"
    )
    bins = np.floor(sky.column("r_mag").astype(np.float64))
    expected = [value for value in sorted(set(bins), reverse=True) if (bins == value).sum() > 50]
    assert found["bin"].to_pylist() == expected
    for row in found.to_pylist():
        rows = sky.rows.filter(bins == row["bin"])
        assert row["n"] == rows.num_rows
        assert row["m"] == rows.num_rows - rows["g_mag"].null_count
        assert row["mean"] == pytest.approx(np.nanmean(rows["g_mag"].to_numpy().astype(np.float64)))
        assert row["lowest"] == min(rows["id"].to_pylist())
        assert row["kinds"] == len(set(rows["name"].to_pylist()) - {None})


def test_rows_are_sorted_skipped_and_cut_in_the_right_order(sky: Sky) -> None:
    by_mag = sky.ask("SELECT TOP 5 id, r_mag AS m FROM sky.stars ORDER BY m DESC, 1 OFFSET 3")
    order = np.lexsort((sky.column("id"), -sky.column("r_mag").astype(np.float64)))
    assert by_mag["id"].to_pylist() == sky.column("id")[order][3:8].tolist()
    assert sky.ask("SELECT TOP 0 * FROM sky.stars").num_rows == 0
    last = sky.ask("SELECT g_mag FROM sky.stars ORDER BY g_mag OFFSET 11999")
    assert last["g_mag"].to_pylist() == [None]


def test_sets_tables_and_subqueries_combine(sky: Sky) -> None:
    low = "SELECT id FROM sky.stars WHERE r_mag < 15"
    high = "SELECT s.id FROM sky.stars s WHERE s.dec > 89.9"
    a = picked(sky, sky.column("r_mag").astype(np.float64) < 15)
    b = picked(sky, sky.column("dec") > 89.9)
    assert ids(sky.ask(f"{low} UNION {high}")) == a | b
    assert sky.ask(f"{low} UNION ALL {high}").num_rows == len(a) + len(b)
    assert ids(sky.ask(f"({low}) EXCEPT {high} ORDER BY id")) == a - b
    assert ids(sky.ask(f"{low} INTERSECT {high}")) == a & b
    assert ids(sky.ask(f"WITH low AS ({low}) SELECT low.id FROM low WHERE id IN ({high})")) == a & b
    assert (
        ids(sky.ask(f"{low} AND NOT EXISTS (SELECT * FROM sky.stars AS o WHERE o.id = stars.id AND o.dec > 89.9)"))
        == a - b
    )
    assert ids(sky.ask(f"SELECT id FROM ({low}) AS x JOIN ({high}) AS y USING (id)")) == a & b
    assert ids(sky.ask(f"SELECT id FROM ({low}) AS x NATURAL JOIN ({high}) AS y")) == a & b
    assert ids(sky.ask(f"SELECT x.id FROM ({low}) AS x, ({high}) AS y WHERE x.id = y.id")) == a & b
    assert sky.ask(f"SELECT COUNT(*) AS n FROM ({low}) AS x FULL OUTER JOIN ({high}) AS y ON x.id = y.id")["n"][
        0
    ].as_py() == len(a | b)


def test_names_are_folded_quoted_and_made_unique(sky: Sky) -> None:
    found = sky.ask('SELECT TOP 1 RA, "ra" AS "Two words", s.ra, COUNT(*) -- a remark\nFROM SKY.Stars AS S GROUP BY ra')
    assert found.column_names == ["ra", "Two words", "ra_2", "count"]


def test_not_a_number_is_not_null_and_in_no_circle(sky: Sky) -> None:
    nowhere = "CAST('NaN' AS DOUBLE PRECISION)"
    assert one(sky, f"{nowhere}") != one(sky, f"{nowhere}")
    inside = f"CONTAINS(POINT({nowhere}, dec), CIRCLE(0, 0, 90))"
    assert sky.ask(f"SELECT COUNT(*) AS n FROM sky.stars WHERE {inside} = 1")["n"][0].as_py() == 0
    null = "CONTAINS(POINT(SQRT(0 * ra - 1), dec), CIRCLE(0, 0, 90))"
    assert sky.ask(f"SELECT COUNT(*) AS n FROM sky.stars WHERE {null} = 1 OR {null} = 0")["n"][0].as_py() == 0


def test_fields_are_typed(sky: Sky) -> None:
    answer = sky.service().ask(
        ANONYMOUS, "SELECT TOP 1 id, g_mag, name, epoch, is_variable, id + 1, g_mag + 1 FROM sky.stars"
    )
    answer.close()
    kinds = [field.datatype for field in answer.fields]
    D = DataType  # noqa: N806 -- one letter a column
    assert kinds == [D.LONG, D.FLOAT, D.CHAR, D.TIMESTAMP, D.BOOLEAN, D.LONG, D.DOUBLE]
