"""Numbers, NULL, NaN and texts behave as ADQL 2.1 says; results carry the unit and UCD of what they are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pachon.core.errors import UsageError
from pachon.identity.models import ANONYMOUS
from pachon.queries.adql.bind import bind
from support.asking import Sky

NAN = "CAST('NaN' AS DOUBLE PRECISION)"
ZERO = "(dec - dec)"
MIXED = (
    f"(SELECT TOP 1 1.0 AS x FROM sky.stars UNION SELECT TOP 1 {NAN} FROM sky.stars "
    "UNION SELECT TOP 1 NULL FROM sky.stars)"
)

VALUES = [
    # division and powers: no value is NULL, never an error that ends the query or an infinity
    ("7 / -2", -3),
    ("-7 / 2 * 2", -6),
    ("7 / 2.0", 3.5),
    ("1 / 0", None),
    ("1.0 / 0", None),
    (f"ra / {ZERO}", None),
    (f"MOD(7.5, {ZERO})", None),
    (f"POWER({ZERO}, -1)", None),
    (f"POWER({ZERO} - 8, 1.0 / 3)", None),
    ("POWER(2, -2)", 0.25),
    ("POWER(-2, 3)", -8.0),
    (f"COT({ZERO})", None),
    (f"LOG10({ZERO})", None),
    (f"ACOS({ZERO} + 2)", None),
    # rounding: halves away from zero, negative places left of the point
    ("ROUND(0.5)", 1.0),
    ("ROUND(-2.5)", -3.0),
    ("ROUND(1249.9, -2)", 1200.0),
    ("TRUNCATE(-1299.9, -2)", -1200.0),
    ("TRUNCATE(44.92117610738688, 30)", 44.92117610738688),
    ("CEILING(-0.5)", 0.0),
    # decimals are doubles
    ("0.1 + 0.2 - 0.3", 0.1 + 0.2 - 0.3),
    ("1e308 * 10 / 10", math.inf),
    # NULL in gives NULL out
    ("'a' || NULL", None),
    ("NULL + 1", None),
    ("LOWER(NULL)", None),
    ("ivo_to_mjd(NULL)", None),
    ("CAST(NULL AS SMALLINT)", None),
    # casts
    ("CAST(is_variable AS INTEGER) * 0", 0),
    ("CAST('a' || 'bc' AS CHAR(5)) || '.'", "abc  ."),
    ("CAST(epoch AS CHAR(4)) || ''", "20"),
    ("CAST(1e20 AS VARCHAR)", "1e+20"),
    ("CAST(-0.9 AS INTEGER)", 0),
]  # fmt: skip

COUNTS = [
    # condition over one row
    ("5 BETWEEN 9 AND 1", 0),
    ("NOT 5 BETWEEN 9 AND 1", 1),
    ("'a' = 'a '", 0),
    ("'a' < 'B'", 0),
    ("NULL = NULL", 0),
    ("NOT NULL = 1", 0),
    ("5 IN (1, NULL)", 0),
    ("5 NOT IN (1, NULL)", 0),
    ("5 IN (NULL, 5)", 1),
    ("NULL IS NULL AND 1 IS NOT NULL", 1),
    ("1 = 1 OR 1 = NULL", 1),
    ("(1 = 1 AND 1 = NULL) OR 2 = 3", 0),
    ("'' IS NULL", 0),
    ("'a%' LIKE 'a%' AND 'ab' LIKE '_b' AND NOT 'AB' LIKE 'ab'", 1),
    ("1 = 1.0 AND 2 > 1.5", 1),
    # NaN is a value: it equals itself and is larger than every number, as PostgreSQL and Spark have it
    (f"{NAN} = {NAN}", 1),
    (f"{NAN} > 1e308", 1),
    (f"{NAN} IS NULL", 0),
    (f"{NAN} BETWEEN 0 AND 1", 0),
]


def one(sky: Sky, expression: str) -> object:
    return sky.ask(f"SELECT TOP 1 {expression} AS v FROM sky.stars ORDER BY id")["v"][0].as_py()


@pytest.mark.parametrize(("expression", "expected"), VALUES, ids=[expression for expression, _ in VALUES])
def test_a_value_is_what_the_standard_says(sky: Sky, expression: str, expected: object) -> None:
    found = one(sky, expression)
    if isinstance(expected, str):
        assert str(found).startswith(expected)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-14, abs=0)
    else:
        assert found == expected
        assert type(found) is type(expected)


@pytest.mark.parametrize(("condition", "expected"), COUNTS, ids=[condition for condition, _ in COUNTS])
def test_a_condition_is_true_false_or_unknown(sky: Sky, condition: str, expected: int) -> None:
    first = "(SELECT TOP 1 id FROM sky.stars) AS one"
    assert sky.ask(f"SELECT COUNT(*) AS n FROM {first} WHERE {condition}")["n"].to_pylist() == [expected]


def test_nan_is_sorted_after_numbers_and_null_last_in_both_directions(sky: Sky) -> None:
    up = sky.ask(f"SELECT x FROM {MIXED} AS m ORDER BY x")["x"].to_pylist()
    down = sky.ask(f"SELECT x FROM {MIXED} AS m ORDER BY x DESC")["x"].to_pylist()
    assert (up[0], math.isnan(up[1]), up[2]) == (1.0, True, None)
    assert (math.isnan(down[0]), down[1], down[2]) == (True, 1.0, None)


def test_a_constant_sorts_nothing_and_is_no_error(sky: Sky) -> None:
    found = sky.ask("SELECT TOP 2 id, 'x' AS v FROM sky.stars ORDER BY 'x', TRUE, 2, NULL, id")
    assert found["id"].to_pylist() == sorted(sky.column("id").tolist())[:2]
    assert (
        sky.ask("SELECT ivo_string_agg('a', '+') AS v FROM (SELECT TOP 2 id FROM sky.stars) AS t")["v"][0].as_py()
        == "a+a"
    )


def test_aggregates_leave_nulls_out_and_of_no_rows_only_count_has_a_value(sky: Sky) -> None:
    some = sky.ask(f"SELECT COUNT(x) AS n, COUNT(*) AS m, MIN(x) AS low FROM {MIXED} AS s")
    assert some.to_pylist() == [{"n": 2, "m": 3, "low": 1.0}]
    none = sky.ask("SELECT COUNT(*) AS n, SUM(id) AS s, AVG(ra) AS a, MIN(name) AS l FROM sky.stars WHERE id < 0")
    assert none.to_pylist() == [{"n": 0, "s": None, "a": None, "l": None}]


def test_the_mean_of_whole_numbers_is_a_double_and_a_sum_of_them_is_exact(sky: Sky) -> None:
    small = "(SELECT MOD(id, 1000) AS k FROM sky.stars) AS s"
    found = sky.ask(f"SELECT AVG(k) AS mean, SUM(k) AS total FROM {small}").to_pylist()[0]
    numbers = sky.column("id") % 1000
    assert found == {"mean": pytest.approx(np.mean(numbers), rel=1e-14), "total": int(numbers.sum())}
    assert (type(found["mean"]), type(found["total"])) == (float, int)


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("CAST(MAX(id) AS INTEGER)", "90071992547"),
        ("SUM(id)", "does not fit BIGINT"),
        ("MAX(id * id)", "out of the range of BIGINT"),
        ("MAX(CAST(name AS INTEGER))", "cannot be converted to INTEGER"),
        ("MAX(CAST('1.5' || '' AS BIGINT))", "'1.5' cannot be converted to BIGINT"),
        ("MAX(CAST('1_000' || '' AS DOUBLE PRECISION))", "'1_000' cannot be converted to DOUBLE PRECISION"),
        ("MAX(CAST('1_000' || '' AS REAL))", "'1_000' cannot be converted to REAL"),
        ("MAX(CAST(name AS TIMESTAMP))", "is not a timestamp"),
        ("MAX(CAST('2026-01-31T10:00:00+02:00' || '' AS TIMESTAMP))", "+02:00' is not a timestamp"),
        ("MAX(CAST('0000-01-31' || '' AS TIMESTAMP))", "'0000-01-31' is not a timestamp"),
        ("MAX(CAST('infinity' || '' AS TIMESTAMP))", "'infinity' is not a timestamp"),
        ("MAX(CAST('1e99' || '' AS REAL))", "1e+99 does not fit REAL"),
        ("MAX(-(0 * id - 9223372036854775807 - 1))", "out of the range of its type"),
    ],
)
def test_a_value_that_does_not_fit_is_named(sky: Sky, expression: str, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        sky.ask(f"SELECT {expression} AS v FROM sky.stars")
    assert named in caught.value.message


@pytest.mark.parametrize(
    ("left", "right", "kind", "expected"),
    [
        ("SELECT 1 AS v", "SELECT 2.5", "UNION", [1.0, 2.5]),
        ("SELECT CAST(1 AS SMALLINT) AS v", "SELECT 3000000000", "UNION", [1, 3_000_000_000]),
        ("SELECT NULL AS v", "SELECT 'a'", "UNION", ["a", None]),
        ("SELECT 1 AS v", "SELECT 1.0", "INTERSECT", [1.0]),
        ("SELECT 1 AS v", "SELECT 1.0", "EXCEPT", []),
        ("SELECT NULL AS v", "SELECT NULL", "UNION", [None]),
    ],
)
def test_sets_compare_and_widen_types(sky: Sky, left: str, right: str, kind: str, expected: list[object]) -> None:
    few = "FROM (SELECT TOP 2 id FROM sky.stars) AS few"
    found = sky.ask(f"{left} {few} {kind} {right} {few} ORDER BY v")["v"].to_pylist()
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_a_chain_of_sets_is_as_wide_as_the_widest_of_them(sky: Sky) -> None:
    few = "FROM (SELECT TOP 1 id FROM sky.stars) AS few"
    sets = f"SELECT CAST(0.5 AS REAL) AS v {few} UNION SELECT 0.25 {few} UNION SELECT 9007199254740993 {few}"
    assert sky.ask(f"{sets} ORDER BY v")["v"].to_pylist() == [0.25, 0.5, 9007199254740992.0]
    for each in ("REAL", "DOUBLE PRECISION"):
        joined = f"(SELECT 2 AS k {few}) AS a FULL JOIN (SELECT CAST(0.5 AS {each}) AS k {few}) AS b USING (k)"
        assert sky.ask(f"SELECT k FROM {joined} ORDER BY k")["k"].to_pylist() == [0.5, 2.0]


@pytest.mark.parametrize(
    ("query", "unit", "ucd", "size"),
    [
        ("SELECT ra {0} UNION SELECT dec {0}", "deg", "pos.eq.ra;meta.main", None),
        ("SELECT ra {0} UNION SELECT g_mag {0}", None, None, None),
        ("SELECT ra {0} UNION SELECT 5 {0} UNION SELECT dec {0}", "deg", "pos.eq.ra;meta.main", None),
        ("SELECT NULL {0} UNION SELECT ra {0}", "deg", "pos.eq.ra;meta.main", None),
        ("SELECT CAST(name AS CHAR(3)) {0} UNION SELECT name {0}", None, "meta.id", "*"),
        ("SELECT COALESCE(CAST(name AS CHAR(3)), name) {0}", None, "meta.id", "*"),
        ("SELECT COALESCE(ra, g_mag) {0}", None, None, None),
        ("SELECT COALESCE(ra, 0) {0}", "deg", "pos.eq.ra;meta.main", None),
    ],
)
def test_a_column_made_of_several_says_only_what_holds_for_all(
    sky: Sky, query: str, unit: str | None, ucd: str | None, size: str | None
) -> None:
    (field,) = bind(query.format("FROM sky.stars"), sky.service()._catalogue(ANONYMOUS)).fields
    assert (field.unit, field.ucd, field.arraysize) == (unit, ucd, size)


QUANTITIES = [
    ("ra + dec", "deg", None),
    ("ra - ra", "deg", "pos.eq.ra;arith.diff"),
    ("ra + 10", "deg", None),
    ("10 - ra", "deg", None),
    ("ra + r_mag", None, None),
    ("g_mag - r_mag", "mag", None),
    ("2 * ra", None, None),
    ("ra / 3600", None, None),
    ("DISTANCE(ra, dec, 0, 0) * 3600", None, None),
    ("ra * 1", "deg", None),
    ("1 / ra", "deg**-1", None),
    ("ra * dec", "deg**2", None),
    ("ra * r_mag", "deg.mag", None),
    ("ra / dec", None, None),
    ("ra / ra", None, "pos.eq.ra;arith.ratio"),
    ("id * ra", None, None),
    ("POWER(ra, 2)", "deg**2", None),
    ("SQRT(POWER(ra, 2) + POWER(dec, 2))", "deg", None),
    ("POWER(ra, dec)", None, None),
    ("-ra", "deg", None),
    ("ROUND(ra, 2)", "deg", "pos.eq.ra"),
    ("RADIANS(ra)", "rad", None),
    ("LOG10(ra)", None, None),
    ("IN_UNIT(ra * dec, 'arcmin**2')", "arcmin**2", None),
    ("DISTANCE(ra, dec, 0, 0)", "deg", "pos.angDistance"),
    ("COALESCE(g_mag, r_mag)", "mag", "phot.mag;em.opt.B"),
    ("ivo_to_mjd(epoch)", "d", "time.epoch"),
    ("ivo_healpix_index(5, ra, dec)", None, "pos.healpix"),
    ("COUNT(*)", None, "meta.number"),
    ("AVG(g_mag)", "mag", "phot.mag;em.opt.B;stat.mean"),
    ("MIN(ra)", "deg", "pos.eq.ra;stat.min"),
    ("MAX(name)", None, "meta.id;stat.max"),
    ("SUM(ra)", "deg", "pos.eq.ra;arith.sum"),
]


@pytest.mark.parametrize(("expression", "unit", "ucd"), QUANTITIES, ids=[each for each, _, _ in QUANTITIES])
def test_a_result_says_its_unit_and_what_it_is(sky: Sky, expression: str, unit: str | None, ucd: str | None) -> None:
    (field,) = bind(f"SELECT {expression} FROM sky.stars", sky.service()._catalogue(ANONYMOUS)).fields
    assert (field.unit, field.ucd) == (unit, ucd)


def test_texts_say_how_long_they_are(sky: Sky) -> None:
    adql = "SELECT CAST(ra AS CHAR(7)), CAST(ra AS VARCHAR(8)), CAST(ra AS VARCHAR) FROM sky.stars"
    fields = bind(adql, sky.service()._catalogue(ANONYMOUS)).fields
    assert [field.arraysize for field in fields] == ["7", "8*", "*"]
