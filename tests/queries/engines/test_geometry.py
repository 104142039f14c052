"""Geometry in the engine: rows as brute force picks them, with index ranges and without."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pachon.core import moc
from pachon.core.fields import arrow_schema
from pachon.core.sky import separation_deg
from pachon.identity.models import ANONYMOUS
from pachon.queries.adql.bind import bind
from pachon.queries.plan import Derived, Join, Plan, Scan, SetOperation
from support.asking import Sky

HERE = "POINT(ra, dec)"
WHOLE_SKY = 12 * 4**29
NOTCHED = "POLYGON(350, -10, 20, -10, 0, 5, 20, 30, 350, 30)"
CAP = "POLYGON(0, 50, 90, 55, 180, 60, 270, 65)"
WIDE = "POLYGON(10, 2, 130, 2, 250, 2)"
RING = f"DISTANCE({HERE}, POINT(0, 10)) BETWEEN 0.5 AND 1"


def plan_of(sky: Sky, adql: str) -> Plan:
    return bind(adql, sky.service()._catalogue(ANONYMOUS))


def ranges_free(part: Any) -> Any:
    """A plan, query or relation whose scans read everything."""
    match part:
        case Plan():
            return replace(part, query=ranges_free(part.query), named=tuple(map(ranges_free, part.named)))
        case Scan():
            return replace(part, ranges=None)
        case Join() | SetOperation():
            return replace(part, left=ranges_free(part.left), right=ranges_free(part.right))
        case Derived():
            return replace(part, query=ranges_free(part.query))
        case _ if hasattr(part, "source") and hasattr(part, "outputs"):
            return replace(part, source=ranges_free(part.source))
        case _:
            return part


def rows(sky: Sky, plan: Plan) -> list[Any]:
    run = sky.engine.execute(plan, timeout_s=60)
    try:
        found = [row for batch in run for row in zip(*(each.to_pylist() for each in batch.columns), strict=True)]
    finally:
        run.close()
    assert arrow_schema(plan.fields).names
    return sorted(found, key=str)


@pytest.mark.parametrize(
    "condition",
    [
        f"1 = CONTAINS({HERE}, {NOTCHED})",
        f"CONTAINS({HERE}, {NOTCHED}) = 0",
        f"1 = CONTAINS({HERE}, {CAP}) AND NOT 1 = CONTAINS({HERE}, CIRCLE(0, 90, 0.5))",
        f"1 = CONTAINS({HERE}, {WIDE})",
        f"0 = CONTAINS({HERE}, BOX(0, 10, 2, 1)) AND DISTANCE({HERE}, POINT(0, 10)) < 1.5",
        f"NOT (DISTANCE(ra, dec, 0, 10) > 1 OR CONTAINS({HERE}, BOX(0, 10, 1, 1)) = 1)",
        RING,
        f"NOT ({RING})",
        f"DISTANCE({HERE}, POINT(0, -90)) >= 178",
        f"1 = CONTAINS({HERE}, MOC('3/0-60 5/3000 7/'))",
        f"CONTAINS({HERE}, MOC(6, CIRCLE(0, 90, 1))) = 0 AND dec > 88",
        f"1 = INTERSECTS(CIRCLE({HERE}, 0.3), POLYGON(359, 9.5, 1, 9.5, 1, 10.5, 359, 10.5))",
        f"1 = CONTAINS(CIRCLE({HERE}, 0.3), POLYGON(359, 9.5, 1, 9.5, 1, 10.5, 359, 10.5))",
        f"1 = CONTAINS(CIRCLE({HERE}, 0.3), CIRCLE(0, 10, 1))",
        f"1 = CONTAINS({HERE}, REGION('Box ICRS TOPOCENTER 0 10 2 1'))",
    ],
)
def test_ranges_lose_no_row_and_save_some_reading(sky: Sky, condition: str) -> None:
    plan = plan_of(sky, f"SELECT id FROM sky.stars WHERE {condition}")
    (scan,) = plan.scans
    assert scan.ranges is not None
    assert sum(high - low for low, high in scan.ranges) < WHOLE_SKY
    found = rows(sky, plan)
    assert 0 < len(found) < sky.rows.num_rows
    assert found == rows(sky, ranges_free(plan))


def test_negated_and_ringed_cones_hold_what_brute_force_holds(sky: Sky) -> None:
    away = separation_deg(sky.column("ra"), sky.column("dec"), 0, 10)
    for condition, mask in (
        (RING, (away >= 0.5) & (away <= 1)),
        (f"NOT ({RING})", (away < 0.5) | (away > 1)),
        (f"0 = CONTAINS({HERE}, CIRCLE(0, 10, 0.5)) AND {RING}", (away > 0.5) & (away <= 1)),
    ):
        found = sky.ask(f"SELECT id FROM sky.stars WHERE {condition}")["id"].to_pylist()
        assert sorted(found) == sorted(sky.column("id")[mask].tolist())


INNER = "SELECT id, ra AS x, dec AS y FROM sky.stars"
NEAR = "DISTANCE(x, y, 0, 10) < 0.5"


@pytest.mark.parametrize(
    ("adql", "is_pruned"),
    [
        (f"SELECT id FROM ({INNER}) AS s WHERE {NEAR}", True),
        (f"SELECT id FROM ({INNER} UNION ALL {INNER}) AS s WHERE {NEAR}", True),
        (f"SELECT id FROM (SELECT * FROM ({INNER}) AS t) AS s WHERE {NEAR}", True),
        (f"WITH s AS ({INNER}) SELECT id FROM s WHERE {NEAR}", True),
        (f"WITH s AS ({INNER}), t AS (SELECT * FROM s) SELECT id FROM t WHERE {NEAR}", True),
        (
            f"WITH s AS ({INNER}) SELECT id FROM s WHERE {NEAR} UNION SELECT id FROM s WHERE DISTANCE(x, y, 0, 90) < 1",
            True,
        ),
        (f"WITH s AS ({INNER}) SELECT id FROM s WHERE {NEAR} UNION SELECT id FROM s", False),
        (f"WITH s AS ({INNER}) SELECT id FROM s WHERE {NEAR} AND id NOT IN (SELECT id FROM s WHERE x > 1)", False),
        ("SELECT id FROM (SELECT TOP 50 id, ra AS x, dec AS y FROM sky.stars ORDER BY id) AS s WHERE " + NEAR, False),
        (
            f"SELECT id FROM (SELECT 1 AS id, ra AS x, dec AS y FROM sky.stars GROUP BY ra, dec) AS s WHERE {NEAR}",
            False,
        ),
        (f"SELECT id FROM (SELECT id, ra AS y, dec AS x FROM sky.stars) AS s WHERE {NEAR}", False),
    ],
)
def test_ranges_go_into_subqueries_where_they_change_no_answer(sky: Sky, adql: str, is_pruned: bool) -> None:  # noqa: FBT001 -- a case
    plan = plan_of(sky, adql)
    assert all((scan.ranges is not None) is is_pruned for scan in plan.scans)
    assert rows(sky, plan) == rows(sky, ranges_free(plan))


def test_shapes_from_columns_mean_what_constant_ones_mean(sky: Sky) -> None:
    shapes = {
        "CIRCLE(ra, dec, r_mag)": "CIRCLE({ra}, {dec}, {r_mag})",
        "BOX(ra, dec, r_mag, 5)": "BOX({ra}, {dec}, {r_mag}, 5)",
        "POLYGON(ra, dec, ra + 20, 0, 0, 10)": "POLYGON({ra}, {dec}, {ra} + 20, 0, 0, 10)",
        "s_region": "POLYGON({ra}, {dec}, {ra} + 20, 0, 0, 10)",
    }
    others = ["CIRCLE(0, 0, 40)", "POLYGON(350, -30, 30, -30, 0, 60)", "BOX(10, 0, 60, 40)", "POINT(5, 5)"]
    source = (
        "(SELECT ra, dec, r_mag, POLYGON(ra, dec, ra + 20, 0, 0, 10) AS s_region FROM sky.stars "
        "WHERE dec > 1 AND dec < 60 AND ra > 1 AND ra < 60) AS s"
    )
    pairs = [pair for mine in shapes for other in others for pair in ((mine, other), (other, mine))]
    tests = [f"{function}({one}, {two})" for one, two in pairs for function in ("CONTAINS", "INTERSECTS")]
    values = ", ".join(f"{test} AS t{i}" for i, test in enumerate(tests))
    found = sky.ask(f"SELECT TOP 4 ra, dec, r_mag, {values} FROM {source} ORDER BY ra").to_pylist()
    assert len(found) == 4
    for row in found:
        known = {name: repr(row[name]) for name in ("ra", "dec", "r_mag")}
        forms = {column: form.format(**known) for column, form in shapes.items()}
        constant = [test.replace(column, form) for test in tests for column, form in forms.items() if column in test]
        assert len(constant) == len(tests)
        again = ", ".join(f"{test} AS t{i}" for i, test in enumerate(constant))
        (expected,) = sky.ask(f"SELECT TOP 1 {again} FROM sky.stars").to_pylist()
        assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("AREA(BOX(10, 0, 90, 90))", 4 * np.pi / 6 * np.degrees(1) ** 2),
        ("AREA(POLYGON(0, 0, 90, 0, 0, 90))", 4 * np.pi / 8 * np.degrees(1) ** 2),
        ("AREA(CIRCLE(ra, dec, 90))", 2 * np.pi * np.degrees(1) ** 2),
        ("AREA(POLYGON(ra, 0, ra + 90, 0, ra, 90))", 4 * np.pi / 8 * np.degrees(1) ** 2),
        ("AREA(MOC('0/3-4'))", 4 * np.pi / 6 * np.degrees(1) ** 2),
        ("COORD2(CENTROID(POLYGON(0, 0, 90, 0, 0, 90)))", np.degrees(np.arctan(np.sqrt(0.5)))),
        ("COORD1(CENTROID(POLYGON(0 * ra, 0, 90, 0, 0, 90)))", 45.0),
        ("COORD1(CENTROID(REGION('Circle ICRS 12 3 1')))", 12.0),
        ("COORDSYS(POINT(ra, dec))", "ICRS"),
        ("MOC('4/5 4/4,4/6-7')", "3/1"),
        ("MOC(2, MOC('4/5 29/0'))", "2/0"),
        ("INTERSECTS(BOX(0, 0, 2, 2), BOX(3, 0, 2, 2))", 0),
        ("INTERSECTS(BOX(0, 0, 2, 2), BOX(1.9, 0, 2, 2))", 1),
        ("CONTAINS(BOX(0, 0, 1, 1), BOX(0, 0, 2, 2))", 1),
        ("CONTAINS(POINT(0, 0), POLYGON(0, 0, 1, 0, 1, 1, 0, 1, 0, 0))", 1),
        ("CONTAINS(POINT(0.5 + 0 * ra, 0), POLYGON(0, 0, 1, 0, 1, 1, 0, 1))", 1),
        ("CONTAINS(POINT(1.5 + 0 * ra, 0), POLYGON(0, 0, 1, 0, 1, 1, 0, 1))", 0),
        ("CONTAINS(CIRCLE(0, 0, 1), POINT(0, 0))", 0),
        ("CONTAINS(POINT(360 + 0 * ra, 0), POINT(0, 0))", 1),
        ("CONTAINS(CIRCLE(ra, dec, 100), CIRCLE(0, 0, 180))", 1),
        ("CONTAINS(POLYGON(0, 0, 1, 0, 0, 1), CIRCLE(0, 0, 2))", 1),
        ("CONTAINS(POINT(POWER(0 * ra - 1, 0.5), 0), CIRCLE(0, 0, 2))", None),
        ("CONTAINS(POINT(0, POWER(0 * ra - 1, 0.5)), BOX(0, 0, 2, 2))", None),
        ("CONTAINS(POINT(0, POWER(0 * ra - 1, 0.5)), POLYGON(0, 0, 1, 0, 0, 1))", None),
        ("CONTAINS(POINT(SQRT(0 * ra - 1), 0), POLYGON(0, 0, 1, 0, 0, 1))", None),
        ("CONTAINS(POINT(SQRT(0 * ra - 1), 0), MOC('0/0'))", None),
        ("INTERSECTS(CIRCLE(0, POWER(0 * ra - 1, 0.5), 1), BOX(0, 0, 2, 2))", None),
        ("INTERSECTS(CIRCLE(0, 0, 0 * ra - 1), BOX(0, 0, 2, 2))", None),
        ("DISTANCE(POINT(POWER(0 * ra - 1, 0.5), 0), POINT(0, 0))", None),
        ("DISTANCE(POINT(ra, 0 * dec + 95), POINT(0, 85))", None),
        ("DISTANCE(0, 85, ra, 0 * dec - 95)", None),
        ("CONTAINS(POINT(ra, 0 * dec + 95), CIRCLE(0, 85, 180))", None),
        ("CONTAINS(POINT(0, 85), CIRCLE(ra, 0 * dec + 95, 180))", None),
        ("CONTAINS(POINT(ra, 0 * dec + 95), BOX(0, 85, 90, 90))", None),
        ("CONTAINS(POINT(ra, 0 * dec + 95), POLYGON(0, 50, 90, 55, 180, 60, 270, 65))", None),
        ("ivo_healpix_index(3, ra, 0 * dec + 95)", None),
    ],
)
def test_expressions_of_shapes_have_the_value_the_standard_gives(sky: Sky, expression: str, expected: object) -> None:
    found = sky.ask(f"SELECT TOP 1 {expression} AS x FROM sky.stars")["x"][0].as_py()
    assert found == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected)


def test_moc_ranges_are_the_cells_themselves(sky: Sky) -> None:
    text = "3/0-60 5/3000"
    (scan,) = plan_of(sky, f"SELECT id FROM sky.stars WHERE 1 = CONTAINS({HERE}, MOC('{text}'))").scans
    assert np.array_equal(np.array(scan.ranges), moc.parse(text))
