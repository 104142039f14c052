"""Mistakes that people bring along from other languages and pages: the answer names the place, and what to write."""

from __future__ import annotations

import pytest

from pachon.core.errors import QuerySyntaxError
from pachon.identity.models import ANONYMOUS
from pachon.queries.adql.bind import Catalogue, bind
from support.asking import Sky

STARS = "FROM sky.stars"
WHERE = f"SELECT id {STARS} WHERE"
CONE = f"{WHERE} 1 = CONTAINS(POINT(ra, dec),"

MISTAKES = [
    # brackets and ends: » marks the place, the rest is what must be said
    (f"{WHERE} »(ra > 1 AND dec < 5", ["the '(' here is never closed", "')' before the end of the query"]),
    (f"{WHERE} 1 = CONTAINS»(POINT(ra, dec), CIRCLE(10, 20, 1)", ["the '(' of CONTAINS( here is never closed"]),
    (f"SELECT id, »(ra + dec {STARS}", ["never closed", "expected a ')' before 'FROM'"]),
    (f"SELECT id, COUNT»( {STARS}", ["the '(' of COUNT( here is never closed", "before 'FROM'"]),
    (f"{WHERE} id IN »(SELECT id {STARS} WHERE ra > 5", ["never closed"]),
    (f"{WHERE} ra > 1 »AND", ["after 'AND' a condition is expected, not the end of the query"]),
    (f"{WHERE} ra > 1 »AND ORDER BY ra", ["after 'AND' a condition is expected, not 'ORDER BY'"]),
    (f"{WHERE} ra BETWEEN 1 »AND", ["after 'AND' the upper end of BETWEEN is expected"]),
    (f"{WHERE} ra BETWEEN »1", ["BETWEEN needs two ends, as in x BETWEEN 1 AND 2"]),
    (f"SELECT id {STARS} »WHERE", ["after 'WHERE' a condition is expected, not the end of the query"]),
    (f"SELECT id {STARS} »WHERE ORDER BY ra", ["after 'WHERE' a condition is expected, not 'ORDER BY'"]),
    (f"{WHERE} ra »>", ["after '>' a value is expected, not the end of the query"]),
    (f"{WHERE} ra »+ * 2 > 1", ["after '+' a value is expected, not '*'"]),
    ("SELECT id »FROM WHERE ra > 1", ["after 'FROM' a table is expected, not 'WHERE'"]),
    (f"»SELECT {STARS}", ["after 'SELECT' a column, an expression or * is expected, not 'FROM'"]),
    (f"SELECT id {STARS} »GROUP BY", ["after 'GROUP BY' a column or an expression is expected"]),
    (f"SELECT id {STARS} »ORDER BY", ["after 'ORDER BY' a column or an expression is expected"]),
    (f"SELECT id {STARS} »AS", ["after 'AS' a name is expected"]),
    (f"SELECT id {STARS} »UNION", ["after 'UNION' a query is expected"]),
    (f"{WHERE} name = 'O'Brien»'", ["never closed", "one within it is written twice"]),
    # the order of a query, and its words as names
    (f"SELECT id {STARS} ORDER BY id »WHERE ra > 1", ["WHERE stands before ORDER BY"]),
    (f"SELECT id {STARS} OFFSET 5 »ORDER BY id", ["ORDER BY stands before OFFSET"]),
    (f"{WHERE} ra > 1 »WHERE dec > 1", ["WHERE stands twice in one SELECT; join conditions with AND"]),
    (f"SELECT id FROM »SELECT id {STARS}", ["a query within another stands in parentheses"]),
    (f"SELECT id {STARS} ORDER BY id ASC »DESC", ["one of ASC and DESC"]),
    (f"SELECT ra »full {STARS}", ["a reserved word", "double quotes"]),
    (f"SELECT ra AS »real {STARS}", ["a reserved word", "double quotes"]),
    (f"SELECT id {STARS} »desc", ["a reserved word", "double quotes"]),
    (f"SELECT s».left {STARS} AS s", ["after '.' a name is expected, not 'left'"]),
    ("SELECT id FROM sky».. stars", ["after '.' a name is expected, not '.'"]),
    (f"{WHERE} id »IN 1, 2", ["after 'IN' a list of values or a query in parentheses is expected, not '1'"]),
    (
        "SELECT a.id FROM sky.stars AS a NATURAL JOIN »sky.stars AS b ON a.id = b.id",
        ["NATURAL JOIN takes neither ON nor USING"],
    ),
    (f"SELECT ivo_healpix_index(3, »10, 95) {STARS}", ["a declination must be between -90 and +90 degrees, not 95"]),
    (f"SELECT id AS »my-name {STARS}", ["a name with '-' stands in double quotes: write AS \"my-name\"."]),
    (f"{WHERE} ra > CAST(»'1_000' AS DOUBLE PRECISION)", ["'1_000' is not a number, as CAST needs here"]),
    # words and signs of other languages
    (f"SELECT »* EXCLUDE (ra) {STARS}", ["no * EXCLUDE (...)", "name the columns", "TAP_SCHEMA.columns"]),
    (f"SELECT TOP 5 s.»* EXCEPT (ra, dec) {STARS} AS s", ["no * EXCEPT (...)", "name the columns"]),
    (f"SELECT »* stars {STARS}", ["after '*' a comma or FROM is expected, not 'stars'"]),
    (f"SELECT id {STARS} »TABLESAMPLE BERNOULLI (10)", ["no TABLESAMPLE", "WHERE RAND() < 0.01"]),
    (f"SELECT id {STARS} »QUALIFY ROW_NUMBER() OVER (PARTITION BY name) = 1", ["no window functions"]),
    (f"SELECT RANK() »OVER (PARTITION BY name) {STARS}", ["no window functions"]),
    (f"SELECT id {STARS} »LIMIT 25", ["SELECT TOP 25"]),
    (f"SELECT TOP »(10) id {STARS}", ["TOP must be followed by a whole number, without parentheses"]),
    (f"SELECT s.ra»::int {STARS} AS s", ["no '::'", "CAST(s.ra AS INTEGER)"]),
    (f"SELECT ROUND(ra + 1)»::text {STARS}", ["no '::'", "CAST(ROUND(ra + 1) AS VARCHAR)"]),
    (f"SELECT (ra + dec)»::float8 {STARS}", ["CAST((ra + dec) AS DOUBLE PRECISION)"]),
    (f"{WHERE} id »== 5", ["no '=='", "equal is '='"]),
    (f"{WHERE} id »=< 5", ["no '=<'", "'<='"]),
    (f"{WHERE} ra > 5 »&& dec < 5", ["no '&&'", "write AND"]),
    (f"{WHERE} »ra > 5 || dec < 5", ["one comparison", "AND or OR ('||' joins strings)"]),
    (f"{WHERE} »1 < ra < 5", ["one condition has one comparison", "AND"]),
    (f"{WHERE} »!(ra > 5)", ["no '!'", "write NOT"]),
    (f"{WHERE} epoch > »DATE '2026-01-01'", ["CAST('2026-01-31' AS TIMESTAMP)"]),
    (f"SELECT »LEFT(name, 3) {STARS}", ["unknown function 'LEFT'", "CAST(x AS VARCHAR(n))"]),
    # the sky in other databases, with one's own arguments
    (f"{WHERE} »q3c_radial_query(ra, dec, 10.5, -20.5, 0.1)", ["write DISTANCE(ra, dec, 10.5, -20.5) < 0.1."]),
    (
        "SELECT a.id FROM sky.stars AS a JOIN sky.stars AS b ON »q3c_join(a.ra, a.dec, b.ra, b.dec, 1/3600.0)",
        ["write DISTANCE(a.ra, a.dec, b.ra, b.dec) < 1/3600.0."],
    ),
    (f"SELECT »q3c_dist(ra, dec, 1, 2) {STARS}", ["write DISTANCE(ra, dec, 1, 2)."]),
    (
        f"{WHERE} »q3c_poly_query(ra, dec, ARRAY[1, 2, 3, 4, 5.5, -6])",
        ["write 1 = CONTAINS(POINT(ra, dec), POLYGON(1, 2, 3, 4, 5.5, -6))."],
    ),
    (f"{WHERE} »q3c_radial_query(ra, {'dec + ' * 60} 1, 1, 2, 3)", ["write DISTANCE(ra, dec, ra0, dec0) < radius."]),
    (
        f"{WHERE} »spoint(RADIANS(ra), RADIANS(dec)) <@ scircle(spoint(RADIANS(1), RADIANS(2)), RADIANS(0.1))",
        ["write 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 0.1)), in degrees"],
    ),
    (f"{WHERE} »spoint(x, y) @ scircle(spoint(3.14159265358979, 0), 0.1)", ["(DEGREES(x), DEGREES(y)), CIRCLE(180, "]),
    (
        f"{WHERE} »spoint(RADIANS(ra), RADIANS(dec)) <-> spoint(RADIANS(1), RADIANS(2)) < 0.01",
        ["write DISTANCE(ra, dec, 1, 2), in degrees"],
    ),
    (f"{WHERE} »scisql_s2PtInCircle(ra, dec, 1, 2, 0.1) = 1", ["write DISTANCE(ra, dec, 1, 2) < 0.1."]),
    (f"{WHERE} »ST_Within(ra, dec)", ["unknown function 'ST_Within'"]),
    (f"{WHERE} »ivo_hasword(name, 'star')", ["expected a condition", "write 1 = IVO_HASWORD(...)"]),
    # hours, minutes and seconds
    (f"{CONE} CIRCLE(»'12:34:56', '-10:20:30', 0.1))", ["decimal degrees", "for '12:34:56' write 188.7333333."]),
    (f"{CONE} CIRCLE(188.7, »'-00:20:30', 0.1))", ["for '-00:20:30' write -0.3416667."]),
    (f"{CONE} CIRCLE(188.7, -»10:20:30, 0.1))", ["for '10:20:30' write 10.3416667."]),
    (f"{CONE} CIRCLE(»12:34:56, 10, 0.1))", ["for '12:34:56' write 188.7333333."]),
    (f"{CONE} CIRCLE(1, 2, »'0:00:36'))", ["for '0:00:36' write 0.01."]),
    (f"{WHERE} 1 = CONTAINS(POINT('ICRS', »'12h34m56s', '+10d20m30s'), CIRCLE(1, 2, 3))", ["write 188.7333333."]),
    (f"{WHERE} 1 = CONTAINS(POINT(»'12 34 56 -10 20 30'), CIRCLE(1, 2, 3))", ["write 188.7333333, -10.3416667."]),
    (f"{WHERE} DISTANCE(ra, dec, »'12:34:56', '10:20:30') < 1", ["write 188.7333333."]),
    # quotes and letters
    (f'{WHERE} name = »"1-8-1"', ["unknown column '1-8-1'", "are for names", "a string is written '1-8-1'"]),
    (f'{WHERE} name LIKE »"O\'B%"', ["a string is written 'O''B%'"]),
    ('SELECT id FROM »"sky.stars"', ["each part of a name has quotes of its own", '"sky"."stars"']),
    (f"{WHERE} dec > »\N{MINUS SIGN}5", ["U+2212 (MINUS SIGN)", "write -."]),
    (f"{WHERE} name = »\N{LEFT SINGLE QUOTATION MARK}a", ["U+2018 (LEFT SINGLE QUOTATION MARK)", "write '."]),
    (f"{WHERE} name = »\N{LEFT DOUBLE QUOTATION MARK}a", ["U+201C", "write ' around texts, \" around names."]),
    (f"SELECT id»\N{NO-BREAK SPACE}{STARS}", ["U+00A0 (NO-BREAK SPACE)", "write a plain space."]),
    (f"{WHERE} ra »\N{GREATER-THAN OR EQUAL TO} 1", ["U+2265", "write >=."]),
    (f"SELECT i»\N{ZERO WIDTH SPACE}d {STARS}", ["U+200B (ZERO WIDTH SPACE)", "write nothing."]),
    # statements that list and describe
    ("»SHOW TABLES", ["SELECT table_name, description FROM TAP_SCHEMA.tables"]),
    ("»\\d", ["SELECT table_name, description FROM TAP_SCHEMA.tables"]),
    ("»\\d sky.stars", ["FROM TAP_SCHEMA.columns WHERE table_name = 'sky.stars'"]),
    ("  »DESCRIBE sky.stars;", ["FROM TAP_SCHEMA.columns WHERE table_name = 'sky.stars'"]),
    ("»SHOW COLUMNS FROM sky.stars", ["FROM TAP_SCHEMA.columns WHERE table_name = 'sky.stars'"]),
    (f"»EXPLAIN SELECT id {STARS}", ["/api/queries/estimate"]),
    # types and names
    (f"{WHERE} »g_mag < 'bright'", ["g_mag is a number, 'bright' is a string"]),
    (f"{WHERE} »g_mag < '15.5'", ["g_mag is a number, '15.5' is a string", "write 15.5 without quotes"]),
    (f"{WHERE} »name = 5", ["name is a string, 5 is a number", "write '5' for a string"]),
    (f"SELECT »x.stars.ra {STARS}", ["unknown table or alias 'x.stars'; did you mean sky.stars?"]),
    (f"SELECT »sky.stars.ra {STARS} AS s", ["unknown table or alias 'sky.stars'; FROM has s."]),
    (f"SELECT TOP 10 id {STARS} ORDER BY »parallax", ["unknown column 'parallax'; there are id, ra, dec, g_mag"]),
    (f"SELECT s.id {STARS} AS s JOIN sky.stars AS t ON s.id = t.id WHERE »ra > 1", ["write which, as in s.ra."]),
    # groups and results
    (f"SELECT »name, COUNT(*) {STARS}", ["column 'name'", "add GROUP BY name, or write MIN(name)"]),
    (f"SELECT name, »ra, COUNT(*) {STARS} GROUP BY name", ["add it to GROUP BY, or write MIN(ra)"]),
    (f"{WHERE} ra = »MAX(ra)", ["MAX is an aggregate and may not stand in WHERE", "use HAVING, or IN (SELECT"]),
    (f"SELECT g_mag - r_mag AS color {STARS} WHERE »color > 1", ["a name of SELECT", "repeat g_mag - r_mag here"]),
    (f"SELECT name, COUNT(*) AS n {STARS} GROUP BY name HAVING »n > 5", ["repeat COUNT(*) here"]),
    (f"SELECT g_mag - r_mag AS color {STARS} ORDER BY »color + 1", ["stands by itself in ORDER BY"]),
]  # fmt: skip

NOTED = [
    (f"{WHERE} DISTANCE(ra, dec, 10, 20) < »2/3600", "2/3600 is 0, because whole numbers divide to a whole number"),
    (f"SELECT -»5/2 AS x {STARS}", "-5/2 is -2"),
    (f"SELECT »COUNT(name)/COUNT(*) AS share {STARS}", "multiply one side by 1.0"),
    (f"{WHERE} »name = NULL", "never true: write IS NULL"),
    (f"{WHERE} NOT »name <> NULL", "never true: write IS NOT NULL"),
]  # fmt: skip

UNNOTED = [
    f"SELECT id / 1000 AS step, 6/2 AS three, 5/2.0 AS exact, 5.0/2 AS also {STARS} WHERE name IS NULL",
    f"SELECT ra exclude, dec limit, id over, id * 2 AS qualify {STARS} tablesample WHERE id >= -1 AND id != 5",
    f"SELECT COUNT(*) AS n {STARS} WHERE name ILIKE 'star%' OR name = '12:34:56' OR name = '\N{MINUS SIGN}'",
    f"SELECT q3c_join, spoint FROM (SELECT ra AS q3c_join, dec AS spoint {STARS}) AS x ORDER BY q3c_join",
    f"(SELECT id {STARS}) EXCEPT (SELECT id {STARS} WHERE (ra > 1))",
    f"SELECT id FROM (sky.stars JOIN (SELECT id AS i {STARS}) AS b ON id = i) WHERE ((ra) > (1))",
]


@pytest.fixture(scope="module")
def catalogue(sky: Sky) -> Catalogue:
    return sky.service()._catalogue(ANONYMOUS)


@pytest.mark.parametrize(("adql", "said"), MISTAKES, ids=[adql for adql, _ in MISTAKES])
def test_a_mistake_is_answered_at_its_place_with_what_to_write(
    catalogue: Catalogue, adql: str, said: list[str]
) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        bind(adql.replace("»", ""), catalogue)
    assert [part for part in said if part not in caught.value.message] == [], caught.value.message
    position = caught.value.position
    assert position is not None
    assert (position.line, position.column) == (1, adql.index("»") + 1), caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(("adql", "said"), NOTED, ids=[adql for adql, _ in NOTED])
def test_what_is_allowed_but_hardly_meant_is_told_with_the_plan(catalogue: Catalogue, adql: str, said: str) -> None:
    (note,) = bind(adql.replace("»", ""), catalogue).warnings
    assert said in note
    assert note.startswith(f"line 1, column {adql.index('»') + 1}: ")


@pytest.mark.parametrize("adql", UNNOTED)
def test_what_only_looks_like_a_mistake_is_bound_without_a_word(catalogue: Catalogue, adql: str) -> None:
    assert bind(adql, catalogue).warnings == ()


def test_notes_of_one_text_are_few_and_each_is_told_once(catalogue: Catalogue) -> None:
    (twice_bound,) = bind(f"{WHERE} 5/2 BETWEEN 1 AND 3", catalogue).warnings
    assert "5/2 is 2" in twice_bound
    many = " OR ".join(f"ra > {n}/7" for n in range(1, 7 * 14, 7))
    assert len(bind(f"{WHERE} {many}", catalogue).warnings) == 8


def test_a_suggestion_never_repeats_the_name_that_was_wrong(catalogue: Catalogue) -> None:
    for name in ('"sky.stars"', '"SKY"."stars"', "stars", "sky.star", "x.sky.stars"):
        with pytest.raises(QuerySyntaxError) as caught:
            bind(f"SELECT id FROM {name}", catalogue)
        written = name.replace('"', "")
        assert f"did you mean {written}?" not in caught.value.message
