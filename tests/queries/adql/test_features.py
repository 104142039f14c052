"""Each feature of ADQL 2.1 gives the right rows, and its misuse is refused where it stands, with what is right."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from pachon.core.errors import QuerySyntaxError
from pachon.core.fields import DataType
from pachon.core.healpix import pixel_of, spatial_index
from pachon.identity.models import ANONYMOUS
from pachon.queries.adql.bind import bind
from pachon.queries.adql.functions import KNOWN
from pachon.queries.adql.udfs import USER_FUNCTIONS
from pachon.queries.adql.words import CLAUSE_KEYWORDS, TYPE_NAMES
from support.asking import Sky, example_call
from support.features import (
    BASICS,
    BRIGHT,
    FUNCTIONS,
    POLAR,
    STARS,
    TYPED,
    Feature,
    away,
    bright,
    column,
    count,
    first,
    floats,
    named,
    polar,
    self_pairs,
)

FEATURES = {
    **BASICS,
    # the table of features that ADQL parsers differ in
    "TOP": Feature(
        f"SELECT TOP 3 id {STARS} ORDER BY id",
        lambda sky: first(sky, "id", 3),
        f"SELECT id {STARS} »TOP 3", "SELECT TOP n",
    ),
    "TOP 0": Feature(f"SELECT TOP 0 id {STARS}", [], f"SELECT TOP »5, id {STARS}", "second number after TOP"),
    "OFFSET": Feature(
        f"SELECT TOP 2 id {STARS} ORDER BY id OFFSET 4",
        lambda sky: first(sky, "id", 2, skip=4),
        f"SELECT id {STARS} OFFSET »1.5", "whole number",
    ),
    "CONTAINS": Feature(
        f"SELECT COUNT(*) {STARS} WHERE CONTAINS(POINT('ICRS', ra, dec), CIRCLE('', 0, 10, 1)) = 1",
        lambda sky: count(away(sky, 0, 10) <= 1),
        f"SELECT id {STARS} WHERE CONTAINS(POINT(ra, dec), CIRCLE(0, 10, 1)) = 1 AND CONTAINS(»ra, dec) = 1", "shape",
    ),
    "CIRCLE of a point": Feature(
        f"SELECT COUNT(*) {STARS} WHERE 0 = CONTAINS(POINT(ra, dec), CIRCLE(POINT(0, 10), 1))",
        lambda sky: count(~(away(sky, 0, 10) <= 1)),
        f"SELECT id {STARS} WHERE 1 = CONTAINS(POINT(ra, dec), »CIRCLE(POINT(0, 10)))", "three numbers",
    ),
    "POLYGON of points": Feature(
        f"SELECT COUNT(*) {STARS} WHERE 1 = CONTAINS(POINT(ra, dec), POLYGON(POINT(0, 80), POINT(120, 80), "
        "POINT(240, 80)))",
        lambda sky: [(int(_above_triangle(sky).sum()),)],
        f"SELECT id {STARS} WHERE 1 = CONTAINS(POINT(ra, dec), »POLYGON(POINT(0, 1), POINT(1, 1)))", "three vertices",
    ),
    "DISTANCE of points": Feature(
        f"SELECT COUNT(*) {STARS} WHERE DISTANCE(POINT(ra, dec), POINT(0, 90)) < 0.5",
        lambda sky: count(away(sky, 0, 90) < 0.5),
        f"SELECT id {STARS} WHERE »DISTANCE(POINT(ra, dec)) < 0.5", "two points or four numbers",
    ),
    "DISTANCE of numbers": Feature(
        f"SELECT COUNT(*) {STARS} WHERE DISTANCE(ra, dec, 0, 90) < 0.5",
        lambda sky: count(away(sky, 0, 90) < 0.5),
        f"SELECT id {STARS} WHERE DISTANCE(ra, »name, 0, 90) < 0.5", "needs a number, not a string",
    ),
    "WITH": Feature(
        f"WITH a AS ({BRIGHT}), b AS (SELECT a.id FROM a) SELECT COUNT(*) FROM b",
        lambda sky: [(len(bright(sky)),)],
        f"SELECT id FROM (WITH »a AS ({BRIGHT}) SELECT id FROM a) AS b", "WITH may stand only at the start",
    ),
    "UNION": Feature(
        f"{BRIGHT} UNION {POLAR} ORDER BY id",
        lambda sky: column(sorted(bright(sky) | polar(sky))),
        f"SELECT id, ra {STARS} UNION SELECT »id {STARS}", "as many columns on both sides: 2 and 1",
    ),
    "UNION ALL": Feature(
        f"SELECT COUNT(*) FROM ({BRIGHT} UNION ALL {BRIGHT}) AS x",
        lambda sky: [(2 * len(bright(sky)),)],
        f"{BRIGHT} UNION DISTINCT »ALL {BRIGHT}", "",
    ),
    "EXCEPT": Feature(
        f"{POLAR} EXCEPT {BRIGHT} ORDER BY 1",
        lambda sky: column(sorted(polar(sky) - bright(sky))),
        f"{POLAR} »MINUS {BRIGHT}", "",
    ),
    "EXCEPT ALL": Feature(
        f"SELECT COUNT(*) FROM (({POLAR} UNION ALL {POLAR}) EXCEPT ALL {POLAR}) AS x",
        lambda sky: [(len(polar(sky)),)],
        f"{POLAR} EXCEPT ALL SELECT »name {STARS}", "a number on one side and a string on the other",
    ),
    "INTERSECT binds first": Feature(
        f"SELECT COUNT(*) FROM ({POLAR} UNION {BRIGHT} INTERSECT {POLAR}) AS x",
        lambda sky: [(len(polar(sky)),)],
        f"{POLAR} INTERSECT {BRIGHT} ORDER BY »ra", "no column 'ra'",
    ),
    "INTERSECT ALL": Feature(
        f"SELECT COUNT(*) FROM (({POLAR} UNION ALL {POLAR}) INTERSECT ALL {POLAR}) AS x",
        lambda sky: [(len(polar(sky)),)],
        f"{POLAR} »INTERSECT", "a query is expected",
    ),
    "LIKE": Feature(
        f"SELECT COUNT(*) {STARS} WHERE name LIKE 'Star 1_%' AND name NOT LIKE '%9'",
        lambda sky: named(sky, lambda name: name.startswith("Star 1") and len(name) > 6 and not name.endswith("9")),
        f"SELECT id {STARS} WHERE name LIKE 'a!%' »ESCAPE '!'", "no ESCAPE",
    ),
    "a backslash is a letter": Feature(
        f"SELECT COUNT(*) {STARS} WHERE 'a\\b' LIKE 'a\\_' AND NOT 'a_' LIKE 'a\\_'",
        self_pairs,
        f"SELECT id {STARS} WHERE name LIKE 'a\\' OR name LIKE 'it\\'s»'", "never closed",
    ),
    "ILIKE": Feature(
        f"SELECT COUNT(*) {STARS} WHERE name ILIKE 'sTAR 1_'",
        lambda sky: named(sky, lambda name: name.startswith("Star 1") and len(name) == 7),
        f"SELECT id {STARS} WHERE »ra ILIKE '1%'", "needs a string, not a number",
    ),
    "LOWER": Feature(
        f"SELECT COUNT(*) {STARS} WHERE LOWER(name) = 'star 12'",
        lambda sky: named(sky, lambda name: name == "Star 12"),
        f"SELECT »LCASE(name) {STARS}", "write LOWER(x)",
    ),
    "UPPER": Feature(
        f"SELECT TOP 1 UPPER(name) {STARS} WHERE name IS NOT NULL AND UPPER('é') = 'É' ORDER BY id",
        lambda sky: column([next(name for (name,) in first(sky, "name", 100) if name).upper()]),
        f"SELECT »UPPER(name, 'x') {STARS}", "takes 1 argument, not 2",
    ),
    "CAST": Feature(
        f"SELECT TOP 1 CAST('12' AS SMALLINT), CAST(2.9 AS INTEGER), CAST(-2.9 AS BIGINT), CAST('0.5' AS REAL), "
        f"CAST(1 AS DOUBLE PRECISION), CAST('ab' AS CHAR(3)), CAST('abcd' AS VARCHAR(3)), CAST(12 AS CHAR), "
        f"CAST(1.5 AS VARCHAR), CAST('2026-01-31T12:00:00Z' AS TIMESTAMP) {STARS}",
        [
            (
                12, 2, -2, 0.5, 1.0, "ab ", "abc", "12", "1.5",
                np.datetime64("2026-01-31T12:00:00").astype("datetime64[us]").item(),
            )
        ],
        f"SELECT CAST(ra AS »FLOAT) {STARS}", "DOUBLE PRECISION",
    ),
    "CAST of what does not fit": Feature(
        f"SELECT TOP 1 CAST(32767 AS SMALLINT), CAST(-2147483648.9 AS INTEGER) {STARS}",
        [(32767, -(2**31))],
        f"SELECT CAST(»32768 AS SMALLINT) {STARS}", "32768 does not fit SMALLINT, which goes from -32768 to 32767",
    ),
    "CAST of no number": Feature(
        f"SELECT TOP 1 CAST(' -7 ' AS INTEGER) {STARS}",
        [(-7,)],
        f"SELECT CAST(»'3.7' AS INTEGER) {STARS}", "'3.7' is not a whole number",
    ),
    "CAST to TIMESTAMP": Feature(
        f"SELECT COUNT(*) {STARS} WHERE epoch BETWEEN CAST('2026-01-01' AS TIMESTAMP) AND '2026-12-31T23:59:59.999'",
        lambda sky: count(sky.column("epoch").astype("datetime64[Y]") == np.datetime64("2026")),
        f"SELECT id {STARS} WHERE »epoch > 'last year'", "'last year' is not a timestamp: expected YYYY-MM-DD",
    ),
    "CAST to a length": Feature(
        f"SELECT TOP 1 CAST(epoch AS VARCHAR(4)) {STARS} ORDER BY epoch",
        lambda sky: [(str(min(sky.column("epoch")).astype("datetime64[Y]")),)],
        f"SELECT CAST(ra AS REAL»(4)) {STARS}", "expected ')' after the type REAL",
    ),
    "COALESCE": Feature(
        f"SELECT COUNT(*) {STARS} WHERE COALESCE(name, '') = ''",
        lambda sky: [(sky.rows["name"].null_count,)],
        f"SELECT COALESCE(ra, »'none') {STARS}", "a number cannot be compared with a string",
    ),
    "IN_UNIT": Feature(
        f"SELECT TOP 1 IN_UNIT(dec, 'arcmin'), IN_UNIT(SQRT(POWER(dec, 2)) + 10, 'rad') {STARS} ORDER BY id",
        lambda sky: [(60 * first(sky, "dec", 1)[0][0], math.radians(abs(first(sky, "dec", 1)[0][0]) + 10))],
        f"SELECT IN_UNIT(dec, »'kg') {STARS}", "'deg' cannot be converted to 'kg'",
    ),
    "IN_UNIT of a unit": Feature(
        f"SELECT MAX(IN_UNIT(dec - 45, 'deg')) {STARS}",
        [(45.0,)],
        f"SELECT IN_UNIT(dec, »'degrees') {STARS}", "'degrees' is not a unit of VOUnits",
    ),
    "IN_UNIT of a plain number": Feature(
        f"SELECT TOP 1 IN_UNIT(dec, 'deg') {STARS} ORDER BY id",
        lambda sky: first(sky, "dec", 1),
        f"SELECT IN_UNIT(»42, 'kg') {STARS}", "this one has none",
    ),
    "IN_UNIT to no unit": Feature(
        f"SELECT MIN(IN_UNIT(dec, 'deg')) {STARS}", [(-90.0,)], f"SELECT IN_UNIT(dec, »'') {STARS}", "is not a unit"
    ),
    "GROUP BY an expression": Feature(
        f"SELECT FLOOR(r_mag), COUNT(*) AS n {STARS} GROUP BY FLOOR(r_mag) HAVING COUNT(*) > 900 ORDER BY FLOOR(r_mag)",
        lambda sky: [
            (float(value), int(number))
            for value, number in zip(*np.unique(np.floor(floats(sky, "r_mag")), return_counts=True), strict=True)
            if number > 900
        ],
        f"SELECT FLOOR(r_mag) AS bin, COUNT(*) AS n {STARS} GROUP BY »bin", "repeat FLOOR(r_mag) here",
    ),
    "HAVING without GROUP BY": Feature(
        f"SELECT COUNT(*) {STARS} HAVING COUNT(*) > 1",
        self_pairs,
        f"SELECT »ra {STARS} HAVING ra > 1", "must stand in GROUP BY",
    ),
    "ORDER BY an expression": Feature(
        f"SELECT TOP 3 id {STARS} ORDER BY ABS(dec - 12.3), id DESC",
        lambda sky: column(
            sky.column("id")[np.lexsort((-sky.column("id"), np.abs(sky.column("dec") - 12.3)))][:3].tolist()
        ),
        f"SELECT id {STARS} ORDER BY dec »SIDEWAYS", "",
    ),
    "ORDER BY a position": Feature(
        f"SELECT TOP 1 ra, r_mag AS m {STARS} ORDER BY 2, m DESC, 1",
        lambda sky: [
            (
                sky.column("ra")[np.argmin(floats(sky, "r_mag"))].item(),
                sky.column("r_mag")[np.argmin(floats(sky, "r_mag"))].item(),
            )
        ],
        f"SELECT ra {STARS} ORDER BY »0", "not between 1 and 1",
    ),
    "LEFT JOIN ... ON": Feature(
        f"SELECT COUNT(*), COUNT(b.id) FROM ({POLAR}) AS a LEFT OUTER JOIN ({BRIGHT}) AS b ON a.id = b.id",
        lambda sky: [(len(polar(sky)), len(polar(sky) & bright(sky)))],
        "SELECT a.id FROM sky.stars AS a LEFT JOIN »sky.stars AS b", "ON or USING",
    ),
    "RIGHT JOIN ... USING": Feature(
        f"SELECT COUNT(id), COUNT(a.x) FROM (SELECT id, 1 AS x FROM ({POLAR}) AS p) AS a RIGHT JOIN ({BRIGHT}) AS b "
        "USING (id)",
        lambda sky: [(len(bright(sky)), len(polar(sky) & bright(sky)))],
        "SELECT id FROM sky.stars AS a JOIN sky.stars AS b USING (»nix)", "'nix' is not in both tables",
    ),
    "FULL JOIN": Feature(
        f"SELECT COUNT(id) FROM ({POLAR}) AS a FULL OUTER JOIN ({BRIGHT}) AS b USING (id)",
        lambda sky: [(len(polar(sky) | bright(sky)),)],
        "SELECT a.id FROM sky.stars AS a OUTER JOIN »sky.stars AS b ON a.id = b.id", "LEFT, RIGHT or FULL",
    ),
    "NATURAL JOIN": Feature(
        f"SELECT COUNT(*) FROM ({POLAR}) AS a NATURAL JOIN ({BRIGHT}) AS b",
        lambda sky: [(len(polar(sky) & bright(sky)),)],
        "SELECT a.id FROM sky.stars AS a »CROSS JOIN sky.stars AS b", "no CROSS JOIN",
    ),
    "<> and !=": Feature(
        f"SELECT COUNT(*) {STARS} WHERE is_variable <> 1 AND is_variable != TRUE",
        lambda sky: count(~sky.column("is_variable").astype(bool)),
        f"SELECT id {STARS} WHERE id »== 1", "equal is '='",
    ),
    "a comment at the end": Feature(
        f"SELECT COUNT(*) --- all of them; 'quotes' /* and \" all\n{STARS} --the end",
        self_pairs,
        f"SELECT COUNT(*) »/* all */ {STARS}", "a comment starts with --",
    ),
    "schema.table.column": Feature(
        f"SELECT TOP 1 sky.stars.id, STARS.ID {STARS} ORDER BY sky.stars.id",
        lambda sky: [(first(sky, "id", 1)[0][0],) * 2],
        "SELECT id FROM »archive.sky.stars", "tables are written schema.table; did you mean sky.stars?",
    ),
    "quoted names have a case": Feature(
        'SELECT TOP 1 "id" AS "Über ""all""" FROM "sky"."stars" AS "S" WHERE "S".RA >= 0 ORDER BY "Über ""all"""',
        lambda sky: first(sky, "id", 1),
        'SELECT id FROM »"SKY".stars', "did you mean sky.stars",
    ),
    "one statement": Feature(
        f"SELECT COUNT(*) {STARS};", self_pairs, f"SELECT id {STARS}»; DROP TABLE sky.stars", "only one statement"
    ),
    "no LIMIT": Feature(f"SELECT TOP 1 5 {STARS}", [(5,)], f"SELECT id {STARS} »LIMIT 5", "SELECT TOP 5"),
    "known functions only": Feature(
        f"SELECT TOP 1 PI() {STARS}", [(math.pi,)], f"SELECT »pg_sleep(5) {STARS}", "unknown function 'pg_sleep'"
    ),
    "an inner query that looks outward": Feature(
        f"SELECT COUNT(*) FROM sky.stars AS a WHERE NOT EXISTS (SELECT * {STARS} AS b WHERE b.id = a.id + 1)",
        [(1,)],
        "SELECT id FROM sky.stars AS a WHERE EXISTS (SELECT b.id FROM sky.stars AS b WHERE b.id = »c.id)",
        "unknown table or alias 'c'",
    ),
    "an inner query after IN": Feature(
        f"SELECT COUNT(*) FROM sky.stars AS a WHERE a.id IN (SELECT b.id {STARS} AS b WHERE b.dec = a.dec)",
        self_pairs,
        f"SELECT id {STARS} WHERE id = (SELECT »MAX(id) {STARS})", "subquery",
    ),
    "IN a list": Feature(
        f"SELECT COUNT(*) {STARS} WHERE name IN ('Star 3', NULL, LOWER('Star 4')) OR name IN ('Star 5')",
        lambda sky: named(sky, lambda name: name in {"Star 3", "Star 5"}),
        f"SELECT id {STARS} WHERE name IN ('Star 3', »4)", "a string cannot be compared with a number",
    ),
    "DISTINCT": Feature(
        f"SELECT DISTINCT is_variable {STARS} ORDER BY is_variable",
        [(False,), (True,)],
        f"SELECT DISTINCT name {STARS} ORDER BY »ra", "result columns only",
    ),
    "ALL": Feature(
        f"SELECT ALL COUNT(ALL name), COUNT(DISTINCT is_variable) {STARS}",
        lambda sky: [(sky.rows.num_rows - sky.rows["name"].null_count, 2)],
        f"SELECT »COUNT(DISTINCT name, id) {STARS}", "takes one argument, not 2",
    ),
    "MOD instead of %": Feature(
        f"SELECT TOP 1 MOD(-7, 3), MOD(7.5, -2) {STARS}", [(-1, 1.5)], f"SELECT id »% 2 {STARS}", "MOD(x, y)"
    ),
    "no operations on bits": Feature(
        f"SELECT TOP 1 'a' || 'b' {STARS}", [("ab",)], f"SELECT id »& 1 {STARS}", "nor other operations on bits"
    ),
    "no hexadecimal numbers": Feature(
        f"SELECT TOP 1 12., .5, 1e-3, 1.5E+2 {STARS}", [(12.0, 0.5, 0.001, 150.0)], f"SELECT »0xFF {STARS}", "0xFF"
    ),
    "no CASE": Feature(
        f"SELECT MAX(COALESCE(NULL, 1)) {STARS}", [(1,)], f"SELECT »CASE ra WHEN 1 THEN 2 END {STARS}", "no CASE"
    ),
    "RAND": Feature(
        f"SELECT COUNT(*) {STARS} WHERE RAND() < 0 OR RAND(5) >= 1 OR RAND() IS NULL",
        [(0,)],
        f"SELECT »RANDOM() {STARS}", "write RAND()",
    ),
    # functions of the IVOA's catalogue
    "ivo_healpix_index of the main position": Feature(
        f"SELECT COUNT(DISTINCT ivo_healpix_index(5, ra, dec)), MAX(ivo_healpix_index(29, POINT(ra, dec))) {STARS}",
        lambda sky: [
            (
                len(np.unique(pixel_of(sky.column("ra"), sky.column("dec"), order=5))),
                int(spatial_index(sky.column("ra"), sky.column("dec")).max()),
            )
        ],
        f"SELECT ivo_healpix_index(»30, ra, dec) {STARS}", "constant whole number from 0 to 29",
    ),
    "ivo_healpix_index of any position": Feature(
        f"SELECT COUNT(*), COUNT(ivo_healpix_index(8, 2 * ra, dec / 2)), COUNT(ivo_healpix_index(8, ra, 2 * dec)), "
        f"SUM(ivo_healpix_index(8, POINT(2 * ra, dec / 2))) {STARS}",
        lambda sky: [
            (
                sky.rows.num_rows,
                sky.rows.num_rows,
                int((np.abs(2 * sky.column("dec")) <= 90).sum()),
                int(pixel_of(2 * sky.column("ra") % 360, sky.column("dec") / 2, order=8).sum()),
            )
        ],
        f"SELECT ivo_healpix_index(8, »CIRCLE(ra, dec, 1)) {STARS}", "needs a point or two numbers here, not a circle",
    ),
    "ivo_hasword": Feature(
        "SELECT TOP 1 ivo_hasword('The Quick-brown fox', 'quick'), ivo_hasword('The Quick-brown fox', 'row'), "
        f"ivo_hasword('NGC.4993', 'ngc'), ivo_hasword('NGC4993', 'NGC'), ivo_hasword('é-1', 'É'), ivo_hasword('', ''), "
        f"ivo_hasword(NULL, 'a') {STARS}",
        [(1, 0, 1, 0, 1, 0, None)],
        f"SELECT »ivo_haswords(name, 'star') {STARS}", "did you mean IVO_HASWORD",
    ),
    "ivo_hasword as a condition": Feature(
        f"SELECT COUNT(*) {STARS} WHERE 1 = ivo_hasword(name, '12') AND ivo_hasword(name, 'Sta') = 0",
        lambda sky: named(sky, lambda name: name == "Star 12"),
        f"SELECT id {STARS} WHERE ivo_hasword(»ra, 'star') = 1", "needs a string, not a number",
    ),
    "ivo_hashlist_has": Feature(
        f"SELECT TOP 1 ivo_hashlist_has('Radio#X-ray', 'x-RAY'), ivo_hashlist_has('Radio#X-ray', 'ray') {STARS}",
        [(1, 0)],
        f"SELECT »ivo_hashlist_has(name) {STARS}", "takes 2 arguments, not 1",
    ),
    "ivo_nocasematch": Feature(
        f"SELECT TOP 1 ivo_nocasematch('Vega', 'vEG_'), ivo_nocasematch('Vega', 'veg') {STARS}",
        [(1, 0)],
        f"SELECT ivo_nocasematch('Vega', »5) {STARS}", "needs a string, not a number",
    ),
    "ivo_string_agg": Feature(
        f"SELECT ivo_string_agg(name, '; '), ivo_string_agg(DISTINCT CAST(is_variable AS VARCHAR), '|') {STARS} "
        "WHERE name IN ('Star 11', 'Star 3', 'Star 2')",
        lambda sky: [
            (
                "; ".join(sorted({"Star 11", "Star 3", "Star 2"} & set(sky.rows["name"].to_pylist()))),
                "|".join(
                    sorted(
                        {
                            str(row["is_variable"]).lower()
                            for row in sky.rows.to_pylist()
                            if row["name"] in {"Star 11", "Star 3", "Star 2"}
                        }
                    )
                ),
            )
        ],
        f"SELECT ivo_string_agg(name, »name) {STARS}", "constant string between the texts",
    ),
    "ivo_string_agg of text": Feature(
        f"SELECT ivo_string_agg(name, ',') {STARS} WHERE id < 0",
        [(None,)],
        f"SELECT ivo_string_agg(»ra, ',') {STARS}", "needs a string, not a number",
    ),
    "ivo_interval_overlaps": Feature(
        f"SELECT TOP 1 ivo_interval_overlaps(1, 2, 2, 3), ivo_interval_overlaps(1, 2, 2.1, 3) {STARS}",
        [(1, 0)],
        f"SELECT »ivo_interval_overlaps(1, 2, 2) {STARS}", "takes 4 arguments, not 3",
    ),
    "ivo_normal_random": Feature(
        f"SELECT COUNT(*) {STARS} WHERE ivo_normal_random(5, 0.1) NOT BETWEEN 4 AND 6",
        [(0,)],
        f"SELECT ivo_normal_random(»name, 1) {STARS}", "needs a number, not a string",
    ),
    "ivo_to_mjd": Feature(
        f"SELECT ivo_to_mjd('2000-01-01T12:00:00'), ivo_to_jd(CAST('2000-01-01T12:00:00' AS TIMESTAMP)), "
        f"MIN(ivo_to_mjd(epoch)) {STARS}",
        lambda sky: [
            (51544.5, 2451545.0, 40587 + (min(sky.column("epoch")) - np.datetime64(0, "us")) / np.timedelta64(1, "D"))
        ],
        f"SELECT ivo_to_mjd(»ra) {STARS}", "needs a timestamp, not a number",
    ),
}  # fmt: skip


def _above_triangle(sky: Sky) -> np.ndarray:
    """Inside the triangle round the pole with corners at declination 80: on the inner side of its three sides."""
    ra, dec = np.radians(sky.column("ra")), np.radians(sky.column("dec"))
    ahead, up = np.cos(dec), np.sin(dec)
    height = math.tan(math.radians(80)) / math.cos(math.radians(60))
    middles = np.radians([60, 180, 300])
    return np.all([up >= height * ahead * np.cos(ra - middle) for middle in middles], axis=0)


@pytest.mark.parametrize("feature", FEATURES.values(), ids=FEATURES)
def test_a_feature_gives_the_rows_that_numpy_finds(sky: Sky, feature: Feature) -> None:
    found = sky.ask(feature.asked)
    rows = list(zip(*(values.to_pylist() for values in found.columns), strict=True))
    expected = feature.rows(sky) if callable(feature.rows) else feature.rows
    assert [len(row) for row in rows] == [len(row) for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        assert all(_same(value, one) for value, one in zip(row, wanted, strict=True)), (row, wanted)


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, float):
        return type(value) is float and math.isclose(value, wanted, rel_tol=1e-12)
    return type(value) is type(wanted) and bool(value == wanted)


TYPES = {
    "MOC": DataType.CHAR,
    "INTEGER": DataType.INT,
    "BIGINT": DataType.LONG,
    "DOUBLE PRECISION": DataType.DOUBLE,
    "VARCHAR": DataType.CHAR,
}


@pytest.mark.parametrize("form", [form for function in USER_FUNCTIONS.values() for form in function.forms])
def test_a_declared_function_takes_and_gives_what_its_signature_says(sky: Sky, form: str) -> None:
    catalogue = sky.service()._catalogue(ANONYMOUS)
    (field,) = bind(f"SELECT {example_call(form)} {STARS}", catalogue).fields
    assert field.datatype is TYPES[form.partition(" -> ")[2]]
    with pytest.raises(QuerySyntaxError):
        bind(f"SELECT {example_call(form, without=1)} {STARS}", catalogue)


def test_functions_of_numbers_give_what_the_standard_says(sky: Sky) -> None:
    plain = {call: value for call, value in FUNCTIONS.items() if not call.startswith("SUM")}
    (row,) = sky.ask(f"SELECT TOP 1 {', '.join(plain)} {STARS}").to_pylist()
    assert {call: _same(found, value) for (call, value), found in zip(plain.items(), row.values(), strict=True)} == (
        dict.fromkeys(plain, True)
    )
    assert sky.ask(f"SELECT SUM(id - id + 1) {STARS}").to_pydict() == {"sum": [FUNCTIONS["SUM(id - id + 1)"]]}


def test_functions_and_types_refuse_values_of_other_types(sky: Sky) -> None:
    catalogue = sky.service()._catalogue(ANONYMOUS)
    wrong = {f"{call.partition('(')[0]}(name{', 1' if ',' in call else ''})": "a number" for call in FUNCTIONS}
    for call, said in (wrong | TYPED).items():
        with pytest.raises(QuerySyntaxError, match=said):
            bind(f"SELECT {call} {STARS}", catalogue)


def test_every_function_and_word_of_the_language_is_used_and_misused_above() -> None:
    language = KNOWN | set(USER_FUNCTIONS) | CLAUSE_KEYWORDS | TYPE_NAMES
    used = [*(feature.asked for feature in FEATURES.values()), *FUNCTIONS, *TYPED]
    misused = [*(feature.wrong for feature in FEATURES.values()), *FUNCTIONS, *TYPED]
    for texts in (used, misused):
        assert language - set(re.findall(r"\w+", " ".join(texts).upper())) == set()


@pytest.mark.parametrize("feature", FEATURES.values(), ids=FEATURES)
def test_its_misuse_is_refused_at_its_place(sky: Sky, feature: Feature) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        bind(feature.wrong.replace("»", ""), sky.service()._catalogue(ANONYMOUS))
    assert feature.said in caught.value.message
    assert caught.value.position is not None
    place = feature.wrong.index("»") + 1
    assert (caught.value.position.line, caught.value.position.column) == (1, place), caught.value.message
