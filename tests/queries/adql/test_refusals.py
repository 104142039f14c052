"""Everything ADQL does not have is refused, with the place and what would be right."""

from __future__ import annotations

import random

import pytest

from pachon.core.errors import PachonError, QuerySyntaxError
from pachon.identity.models import ANONYMOUS
from pachon.queries.adql.bind import Catalogue, bind
from pachon.queries.plan import Plan
from support.asking import Sky

REFUSED = [
    # words
    ("", None, "empty"),
    ("SELEC ra FROM sky.stars", (1, 1), "did you mean SELECT"),
    ("DELETE FROM sky.stars", (1, 1), "not with 'DELETE'; nothing but queries"),
    ("SELECT ra FORM sky.stars", (1, 11), "did you mean FROM"),
    ("SELECT ra FROM sky.stars LIMIT 5", (1, 26), "SELECT TOP 5"),
    ("SELECT ra FROM sky.stars;\nDROP TABLE x", (1, 25), "one statement"),
    ("SELECT size FROM sky.stars", (1, 8), 'double quotes: "size"'),
    ("SELECT CASE WHEN ra > 1 THEN 1 END FROM sky.stars", (1, 8), "no CASE"),
    ("SELECT RANK() OVER (ORDER BY ra) FROM sky.stars", (1, 15), "window"),
    ("SELECT ra INTO x FROM sky.stars", (1, 11), "does not write"),
    ("SELECT ra FROM sky.stars ORDER BY ra NULLS FIRST", (1, 44), "no NULLS FIRST: rows without a value come last"),
    ("SELECT epoch FROM sky.stars WHERE epoch > TIMESTAMP '2026-01-31'", (1, 43), "CAST('2026-01-31' AS TIMESTAMP)"),
    ("SELECT VARCHAR(3) 'abcd' FROM sky.stars", (1, 8), "write CAST('abcd' AS VARCHAR(3))"),
    ("SELECT id FROM sky.stars ORDER BY id UNION SELECT id FROM sky.stars", (1, 35), "ORDER BY before UNION needs"),
    ("SELECT id FROM sky.stars OFFSET 1 EXCEPT SELECT id FROM sky.stars", (1, 33), "OFFSET before EXCEPT needs"),
    ("SELECT ra FROM sky.stars UNION SELECT dec FROM sky.stars UNION SELECT name FROM sky.stars", (1, 71), "a string"),
    ("SELECT 1 FROM sky.stars UNION SELECT ra FROM sky.stars UNION SELECT name FROM sky.stars", (1, 69), "a string"),
    ("SELECT NULL FROM sky.stars UNION SELECT 1 FROM sky.stars UNION SELECT name FROM sky.stars", (1, 71), "a string"),
    ("SELECT POINT(1, 2) FROM sky.stars UNION SELECT CIRCLE(1, 2, 3) FROM sky.stars", (1, 48), "a circle on the other"),
    # timestamps
    *(
        (f"SELECT {expression} FROM sky.stars WHERE {condition}", None, f"'{wrong}' is not a timestamp")
        for wrong in ("2026-01-31T10:00:00+02:00", "20260131", "2026-W05-6", "2026-01-31T10")
        for expression, condition in (("id", f"epoch > '{wrong}'"), (f"CAST('{wrong}' AS TIMESTAMP)", "id > 1"))
    ),
    # joins
    ("SELECT a.id FROM sky.stars AS a JOIN (SELECT id FROM sky.stars) AS b", (1, 46), "needs ON or USING"),
    ("SELECT a.id FROM sky.stars AS a JOIN -- b\nsky.stars AS b", (2, 1), "needs ON or USING"),
    ("SELECT 1 FROM sky.stars JOIN (SELECT name AS id FROM sky.stars) AS b USING (id)", (1, 77), "with a string"),
    ("SELECT 1 FROM sky.stars NATURAL JOIN (SELECT name AS id FROM sky.stars) AS b", (1, 46), "with a string"),
    ("SELECT TOP 5 DISTINCT id FROM sky.stars", (1, 14), "DISTINCT stands before TOP: SELECT DISTINCT TOP n"),
    # what is left out
    ("SELECT TOP 5 id ra dec FROM sky.stars", (1, 20), "a comma or FROM is expected before 'dec'"),
    ("SELECT id g_mag ra FROM sky.stars", (1, 17), "a comma or FROM is expected before 'ra'"),
    ("SELECT id FROM sky.stars WHERE ra < 8 dec > 1", (1, 39), "AND or OR is expected before 'dec'"),
    ("SELECT id FROM sky.stars WHERE ra < 8 HAVNG ra > 1", (1, 39), "did you mean HAVING"),
    ("SELECT id FROM sky.stars WHERE ra 8", (1, 35), "unexpected '8'"),
    # signs
    ("SELECT ra, FROM sky.stars", (1, 10), "further item"),
    ("SELECT ra FROM sky.stars,", (1, 25), "further item"),
    ("SELECT ra FROM sky.stars WHERE name = 'abc", (1, 39), "never closed"),
    ('SELECT "ra FROM sky.stars', (1, 8), "never closed"),
    ("SELECT ra ^ 2 FROM sky.stars", (1, 11), "no '^'"),
    ("SELECT ra::int FROM sky.stars", (1, 10), "CAST(ra AS INTEGER)"),
    ("SELECT 0xFF FROM sky.stars", (1, 8), "not a number"),
    ("SELECT 'a' 'b' FROM sky.stars", (1, 12), "||"),
    ("SELECT (ra FROM sky.stars", (1, 8), "expected a ')'"),
    ("SELECT /* x */ ra FROM sky.stars", (1, 8), ""),
    ("SELECT ra FROM sky.stars WHERE ra > 1 AND", (1, 39), "a condition is expected"),
    ("SELECT ra FROM sky.stars WHERE", None, ""),
    # shapes of a query
    ("SELECT 1", (1, 8), "needs FROM"),
    ("SELECT ra FROM (SELECT ra FROM sky.stars)", None, "needs a name"),
    ("SELECT TOP -1 ra FROM sky.stars", (1, 12), "whole number"),
    ("SELECT TOP 1.5 ra FROM sky.stars", (1, 12), "whole number"),
    ("SELECT ra FROM sky.stars OFFSET -10", (1, 34), "whole number"),
    ("SELECT ra FROM sky.stars WHERE ra IN 5", None, ""),
    ("SELECT DISTINCT ON (ra) dec FROM sky.stars", None, ""),
    ("SELECT ra FROM read_parquet('x')", (1, 16), "no table functions"),
    ("SELECT ra FROM sky.stars AS a JOIN sky.stars AS b", (1, 36), "ON or USING"),
    ("SELECT a.ra FROM sky.stars AS a, sky.stars AS A", None, "used twice"),
    ("SELECT ra FROM sky.stars WHERE ra > (SELECT MAX(ra) FROM sky.stars)", None, "subquery"),
    ("SELECT id FROM sky.stars UNION SELECT id, ra FROM sky.stars", None, "1 and 2"),
    ("SELECT id FROM sky.stars UNION SELECT name FROM sky.stars", None, "a number on one side and a string"),
    ("SELECT id FROM sky.stars WHERE id IN (SELECT id, ra FROM sky.stars)", None, "one column, not 2"),
    # names
    ("SELECT ra\nFROM sky.starz", (2, 6), "did you mean sky.stars"),
    ("SELECT ra FROM stars", (1, 16), "did you mean sky.stars"),
    ("SELECT gmag FROM sky.stars", (1, 8), "did you mean g_mag"),
    ('SELECT "RA" FROM sky.stars', (1, 8), "did you mean ra"),
    ("SELECT _healpix_29 FROM sky.stars", (1, 8), "start with a letter"),
    ('SELECT "_healpix_29" FROM sky.stars', (1, 8), "unknown column"),
    ("SELECT t.ra FROM sky.stars AS s", (1, 8), "unknown table or alias 't'"),
    ("SELECT ra FROM sky.stars AS a, sky.stars AS b", (1, 8), "more than one table"),
    ("SELECT a.b.c.d.e FROM sky.stars", (1, 8), ""),
    ("SELECT pg_sleep(5) FROM sky.stars", (1, 8), "unknown function 'pg_sleep'"),
    ("SELECT SQRTT(ra) FROM sky.stars", (1, 8), "did you mean SQRT"),
    # types and arities
    ("SELECT name + 1 FROM sky.stars", (1, 8), "needs a number, not a string"),
    ("SELECT ra || name FROM sky.stars", (1, 8), "needs a string, not a number"),
    ("SELECT ra FROM sky.stars WHERE name > 5", (1, 32), "cannot be compared"),
    ("SELECT ra FROM sky.stars WHERE ra LIKE 'a%'", (1, 32), "needs a string"),
    ("SELECT SQRT(ra, dec) FROM sky.stars", (1, 8), "takes 1 argument, not 2"),
    ("SELECT LOWER(ra) FROM sky.stars", (1, 14), "needs a string"),
    ("SELECT ROUND(ra, 1.5) FROM sky.stars", (1, 18), "whole number"),
    ("SELECT ra FROM sky.stars WHERE ra", (1, 32), "expected a condition"),
    ("SELECT ra > 1 FROM sky.stars", (1, 8), "condition may not stand here"),
    ("SELECT CAST(ra AS FLOAT) FROM sky.stars", None, ""),
    ("SELECT 99999999999999999999 FROM sky.stars", (1, 8), "64 bits"),
    ("SELECT IN_UNIT(ra, 'kg') FROM sky.stars", (1, 20), "cannot be converted"),
    # aggregates
    ("SELECT ra FROM sky.stars WHERE COUNT(*) > 1", (1, 32), "use HAVING"),
    ("SELECT ra, COUNT(*) FROM sky.stars GROUP BY dec", (1, 8), "GROUP BY"),
    ("SELECT MAX(MIN(ra)) FROM sky.stars", (1, 12), "inside another"),
    ("SELECT SUM(name) FROM sky.stars", (1, 12), "needs a number"),
    ("SELECT SUM(*) FROM sky.stars", (1, 8), "COUNT(*)"),
    ("SELECT ra FROM sky.stars GROUP BY 1", (1, 35), "not positions"),
    ("SELECT DISTINCT ra FROM sky.stars ORDER BY dec", None, "with DISTINCT"),
    ("SELECT ra FROM sky.stars ORDER BY 2", (1, 35), "between 1 and 1"),
    # geometry
    ("SELECT ra FROM sky.stars WHERE CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 3))", (1, 32), "1 = CONTAINS"),
    ("SELECT ra FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2))", (1, 61), "three numbers"),
    ("SELECT ra FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, -3))", (1, 61), "0 and 180"),
    ("SELECT ra FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 95, 3))", (1, 61), "-90 and +90"),
    ("SELECT ra FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(400, 5, 3))", (1, 61), "-360 and +360"),
    ("SELECT ra FROM sky.stars WHERE 1 = CONTAINS(POINT('GALACTIC', ra, dec), CIRCLE(1, 2, 3))", (1, 51), "ICRS"),
    ("SELECT ra FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), POLYGON(1, 2, 3, 4))", (1, 61), "three vertices"),
    (
        "SELECT ra FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), POLYGON(0, 0, 2, 2, 2, 0, 0, 2))",
        (1, 61),
        "no agreed inside",
    ),
    (
        "SELECT ra FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), POLYGON(0, 0, 120, 0, 240, 0))",
        (1, 61),
        "smaller than a hemisphere",
    ),
    ("SELECT REGION('Union ICRS (Circle 1 2 3)') AS r FROM sky.stars", (1, 8), "not 'Union'"),
    ("SELECT REGION('Convex 1 2 3') AS r FROM sky.stars", (1, 8), "Position, Circle, Box and Polygon"),
    ("SELECT REGION('Circle GALACTIC 1 2 3') AS r FROM sky.stars", (1, 8), "'GALACTIC' in REGION"),
    ("SELECT REGION('Circle ICRS 1 2') AS r FROM sky.stars", (1, 8), "takes 3 numbers, not 2"),
    ("SELECT REGION(name) AS r FROM sky.stars", (1, 15), "expected a string"),
    ("SELECT MOC('4/99999') AS m FROM sky.stars", (1, 12), "numbered 0 to 3071"),
    ("SELECT MOC('x') AS m FROM sky.stars", (1, 12), "no part of a MOC"),
    ("SELECT MOC(30, CIRCLE(1, 2, 3)) AS m FROM sky.stars", (1, 12), "between 0 and 29"),
    ("SELECT MOC(20, CIRCLE(1, 2, 30)) AS m FROM sky.stars", (1, 8), "lower order"),
    ("SELECT MOC(5, CIRCLE(ra, 2, 3)) AS m FROM sky.stars", (1, 8), "constant numbers"),
    ("SELECT COORDSYS(ra) AS c FROM sky.stars", (1, 17), "expected a shape"),
    ("SELECT COORD1(CIRCLE(1, 2, 3)) AS c FROM sky.stars", (1, 15), "needs a point"),
    ("SELECT AREA(name) AS a FROM sky.stars", (1, 13), "expected a shape"),
    ("SELECT CENTROID(MOC('4/1')) AS c FROM sky.stars", (1, 8), "not offered"),
    ("SELECT ra FROM sky.stars WHERE DISTANCE(POINT(1, 2), CIRCLE(1, 2, 3)) < 1", (1, 54), "needs a point"),
]


@pytest.fixture(scope="module")
def catalogue(sky: Sky) -> Catalogue:
    return sky.service()._catalogue(ANONYMOUS)


def bound(catalogue: Catalogue, adql: str) -> Plan:
    return bind(adql, catalogue, max_rows=10)


@pytest.mark.parametrize(("adql", "place", "fragment"), REFUSED, ids=[adql or "empty" for adql, _, _ in REFUSED])
def test_what_adql_does_not_allow_is_refused_where_it_stands(
    catalogue: Catalogue, adql: str, place: tuple[int, int] | None, fragment: str
) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        bound(catalogue, adql)
    assert fragment in caught.value.message
    found = caught.value.position
    assert place is None or (found is not None and (found.line, found.column) == place)
    assert adql == "" or found is not None


def test_a_hidden_table_reads_like_an_unknown_one(catalogue: Catalogue) -> None:
    with pytest.raises(QuerySyntaxError) as hidden:
        bound(catalogue, "SELECT ra FROM secret.stars")
    with pytest.raises(QuerySyntaxError) as unknown:
        bound(catalogue, "SELECT ra FROM sacred.stars")
    assert hidden.value.message.replace("secret", "sacred") == unknown.value.message
    assert "secret.stars'; did you mean sky.stars?" in hidden.value.message


@pytest.mark.parametrize("seed", range(3))
def test_damaged_queries_end_in_an_error_of_ours_or_in_a_plan(catalogue: Catalogue, seed: int) -> None:
    source = random.Random(seed)
    words = " ".join(adql for adql, _, _ in REFUSED).split()
    start = [
        "SELECT",
        "TOP",
        "5",
        "ra",
        ",",
        "dec",
        "FROM",
        "sky.stars",
        "AS",
        "s",
        "WHERE",
        "DISTANCE",
        "(",
        "POINT",
        "(",
        "ra",
        ",",
        "dec",
        ")",
        ",",
        "POINT",
        "(",
        "1",
        ",",
        "2",
        ")",
        ")",
        "<",
        "1",
    ]
    refused = 0
    for _ in range(300):
        damaged = list(start)
        for _ in range(source.randint(1, 4)):
            damaged[source.randrange(len(damaged))] = source.choice(words)
        try:
            assert bound(catalogue, " ".join(damaged)).tables
        except PachonError:
            refused += 1
    assert refused > 100
