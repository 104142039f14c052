"""A fixed corpus of queries that scores pre-flight estimates: written before the estimator, and not tuned to it.

The first part asks two synthetic skies, `sky` and `deep`; the second asks Tycho-2 and Hipparcos where they are built.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from support.skies import FIRST_ID, make_release

SKY_ROWS, DEEP_ROWS = 200_000, 40_000
PARTITION_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Question:
    """One query of the corpus; `kind` groups those alike."""

    kind: str
    adql: str


def make_corpus_skies(root: Path) -> None:
    """Write the releases `sky` (200,000 stars) and `deep` (40,000 stars, other places, the first ids of `sky`)."""
    make_release(root, release_id="sky", rows=SKY_ROWS, seed=1, partition_rows=PARTITION_ROWS)
    make_release(root, release_id="deep", rows=DEEP_ROWS, seed=2, partition_rows=PARTITION_ROWS)


def _in(shape: str, table: str = "sky.stars", columns: str = "*") -> str:
    return f"SELECT {columns} FROM {table} WHERE 1 = CONTAINS(POINT(ra, dec), {shape})"


SYNTHETIC = (
    Question("cone", _in("CIRCLE(0, 10, 0.01)")),
    Question("cone", _in("CIRCLE(0, 10, 0.1)")),
    Question("cone", _in("CIRCLE(359.5, 10.2, 1)")),
    Question("cone", _in("CIRCLE(120, -30, 0.05)", columns="id")),
    Question("cone", _in("CIRCLE(120, -30, 3)")),
    Question("cone", _in("CIRCLE(200, 40, 25)", columns="id, ra, dec")),
    Question("cone", _in("CIRCLE(10, 89.5, 0.7)")),
    Question("cone", _in("CIRCLE(77, -90, 2)", columns="COUNT(*)")),
    Question("cone", "SELECT id, g_mag FROM sky.stars WHERE DISTANCE(POINT(ra, dec), POINT(0.3, 9.7)) < 0.3"),
    Question("cone", "SELECT id FROM deep.stars WHERE DISTANCE(ra, dec, 180, 0) <= 20"),
    Question("box", _in("BOX(0, 10, 1.5, 0.5)")),
    Question("box", _in("BOX(150, 20, 40, 10)", columns="id, ra")),
    Question("polygon", _in("POLYGON(358, 8, 2, 8, 0, 12)")),
    Question("polygon", _in("POLYGON(100, 0, 130, 0, 130, 30, 100, 30)", columns="name")),
    Question("cone and more", _in("CIRCLE(0, 10, 1)") + " AND g_mag < 18"),
    Question("cone and more", _in("CIRCLE(0, 90, 1)") + " AND r_mag BETWEEN 20 AND 21 AND is_variable IS NOT NULL"),
    Question("cone and more", _in("CIRCLE(220, 40, 30)", columns="id") + " AND name LIKE 'Star 1%'"),
    Question(
        "or of cones",
        "SELECT id FROM sky.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(0, 10, 0.4))"
        " OR 1 = CONTAINS(POINT(ra, dec), CIRCLE(0, -90, 0.4))",
    ),
    Question("not a cone", "SELECT id FROM sky.stars WHERE 0 = CONTAINS(POINT(ra, dec), CIRCLE(0, 10, 1))"),
    Question("range of coordinates", "SELECT id, ra, dec FROM sky.stars WHERE ra BETWEEN 40 AND 60"),
    Question("range of coordinates", "SELECT id FROM sky.stars WHERE dec > 89 AND ra < 90"),
    Question("range of coordinates", "SELECT * FROM sky.stars WHERE ra > 30 AND ra < 30.5 AND dec > 0"),
    Question("range", "SELECT id FROM sky.stars WHERE g_mag < 15"),
    Question("range", "SELECT id, g_mag FROM sky.stars WHERE g_mag < 14.01"),
    Question("range", "SELECT * FROM sky.stars WHERE g_mag > 30"),
    Question("range", "SELECT id FROM sky.stars WHERE g_mag BETWEEN 17 AND 19 AND r_mag < 17"),
    Question("range", "SELECT id FROM sky.stars WHERE epoch >= '2030-01-01T00:00:00'"),
    Question("range", f"SELECT id, ra FROM sky.stars WHERE id BETWEEN {FIRST_ID + 500} AND {FIRST_ID + 540}"),
    Question("equality", f"SELECT * FROM sky.stars WHERE id = {FIRST_ID + 77_777}"),
    Question("equality", "SELECT * FROM sky.stars WHERE id = 5"),
    Question("equality", "SELECT ra, dec FROM sky.stars WHERE name = 'Star 4321'"),
    Question("in", f"SELECT id, ra FROM sky.stars WHERE id IN ({', '.join(str(FIRST_ID + 97 * n) for n in range(9))})"),
    Question("in", "SELECT id FROM sky.stars WHERE name IN ('Star 1', 'Star 2', 'Nobody')"),
    Question("like", "SELECT id, name FROM sky.stars WHERE name LIKE 'Star 12%'"),
    Question("like", "SELECT id FROM sky.stars WHERE name LIKE '%77'"),
    Question("like", "SELECT id FROM sky.stars WHERE LOWER(name) LIKE 'star 9_9_'"),
    Question("like", "SELECT id FROM sky.stars WHERE name NOT LIKE 'Star 1%'"),
    Question("or", "SELECT id FROM sky.stars WHERE g_mag < 15 OR r_mag > 25"),
    Question("not", "SELECT id FROM sky.stars WHERE NOT (g_mag < 20 AND dec > 0)"),
    Question("null", "SELECT id FROM sky.stars WHERE g_mag IS NULL"),
    Question("null", "SELECT id FROM sky.stars WHERE g_mag IS NULL AND name IS NULL"),
    Question("expression", "SELECT id, g_mag - r_mag AS colour FROM sky.stars WHERE g_mag - r_mag > 1.2"),
    Question("expression", "SELECT id FROM sky.stars WHERE SQRT(POWER(g_mag - 20, 2) + POWER(r_mag - 19, 2)) < 0.5"),
    Question("expression", "SELECT id FROM sky.stars WHERE MOD(id, 7) = 3 AND ABS(dec) < 45"),
    Question("aggregate", "SELECT COUNT(*) FROM sky.stars"),
    Question("aggregate", "SELECT AVG(g_mag), MIN(r_mag), MAX(r_mag) FROM sky.stars WHERE dec < 0"),
    Question("aggregate", "SELECT COUNT(DISTINCT name) FROM sky.stars"),
    Question("group", "SELECT is_variable, COUNT(*) FROM sky.stars GROUP BY is_variable"),
    Question("group", "SELECT FLOOR(g_mag) AS bin, COUNT(*), AVG(r_mag) FROM sky.stars GROUP BY FLOOR(g_mag)"),
    Question("group", "SELECT epoch, COUNT(*) FROM sky.stars GROUP BY epoch"),
    Question("group", "SELECT name, COUNT(*) FROM sky.stars GROUP BY name"),
    Question(
        "group",
        "SELECT FLOOR(ra / 5) AS a, FLOOR(dec / 5) AS b, COUNT(*) AS n FROM sky.stars GROUP BY FLOOR(ra / 5),"
        " FLOOR(dec / 5) HAVING COUNT(*) > 100",
    ),
    Question("distinct", "SELECT DISTINCT epoch FROM sky.stars"),
    Question("distinct", "SELECT DISTINCT is_variable FROM sky.stars"),
    Question("distinct", "SELECT DISTINCT ROUND(g_mag, 1) AS m, is_variable FROM sky.stars WHERE g_mag < 20"),
    Question("top", "SELECT TOP 10 * FROM sky.stars"),
    Question("top", "SELECT TOP 50 id, g_mag FROM sky.stars ORDER BY g_mag"),
    Question("top", "SELECT TOP 100 id FROM sky.stars WHERE g_mag < 14.02"),
    Question("top", "SELECT TOP 20 * FROM sky.stars WHERE is_variable IS NOT NULL AND g_mag > 20 ORDER BY r_mag DESC"),
    Question("offset", "SELECT TOP 500 id FROM sky.stars ORDER BY id OFFSET 1000"),
    Question("offset", "SELECT id FROM deep.stars ORDER BY id OFFSET 39900"),
    Question("order", "SELECT id, r_mag FROM sky.stars WHERE r_mag < 15 ORDER BY r_mag, id"),
    Question("join by key", "SELECT a.id, b.ra FROM sky.stars AS a JOIN deep.stars AS b ON a.id = b.id"),
    Question(
        "join by key",
        "SELECT a.id, b.g_mag FROM sky.stars AS a JOIN deep.stars AS b ON a.id = b.id"
        " WHERE a.g_mag < 16 AND b.r_mag > 20",
    ),
    Question(
        "join by key",
        "SELECT a.id FROM sky.stars AS a LEFT JOIN deep.stars AS b ON a.id = b.id WHERE b.id IS NULL AND a.dec > 30",
    ),
    Question(
        "join by key",
        "SELECT a.id, b.id FROM deep.stars AS a JOIN deep.stars AS b ON a.epoch = b.epoch AND a.id < b.id"
        " WHERE a.g_mag < 17",
    ),
    Question(
        "crossmatch",
        "SELECT a.id, b.id FROM ("
        + _in("CIRCLE(0, 10, 0.15)")
        + ") AS a JOIN ("
        + _in("CIRCLE(0, 10, 0.15)", "deep.stars")
        + ") AS b ON DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec)) < 0.02",
    ),
    Question(
        "crossmatch",
        "SELECT a.id, b.id FROM ("
        + _in("CIRCLE(33, -90, 0.03)", "deep.stars")
        + ") AS a JOIN ("
        + _in("CIRCLE(0, -90, 0.2)")
        + ") AS b"
        " ON DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec)) < 0.01",
    ),
    Question(
        "pairs",
        "SELECT a.id, b.id FROM ("
        + _in("CIRCLE(0, 10, 0.1)")
        + ") AS a, ("
        + _in("CIRCLE(0, 10, 0.1)", "deep.stars")
        + ") AS b",
    ),
    Question("set", "SELECT id FROM sky.stars WHERE g_mag < 15 UNION SELECT id FROM deep.stars WHERE g_mag < 15"),
    Question("set", "SELECT id FROM deep.stars UNION ALL SELECT id FROM deep.stars WHERE dec > 0"),
    Question("set", "SELECT id FROM sky.stars EXCEPT SELECT id FROM deep.stars"),
    Question("set", "SELECT id FROM sky.stars INTERSECT SELECT id FROM deep.stars WHERE r_mag < 16"),
    Question(
        "cte",
        "WITH bright AS (SELECT id, ra, dec, g_mag FROM sky.stars WHERE g_mag < 16)"
        " SELECT COUNT(*), MIN(g_mag) FROM bright",
    ),
    Question(
        "cte",
        "WITH binned AS (SELECT FLOOR(r_mag) AS bin, COUNT(*) AS n FROM sky.stars GROUP BY FLOOR(r_mag))"
        " SELECT bin, n FROM binned WHERE bin > 15 ORDER BY bin",
    ),
    Question("subquery", "SELECT id FROM sky.stars WHERE id IN (SELECT id FROM deep.stars WHERE g_mag < 15)"),
    Question("subquery", "SELECT id FROM deep.stars WHERE id NOT IN (SELECT id FROM sky.stars WHERE dec > 0)"),
    Question(
        "subquery",
        "SELECT id FROM deep.stars AS a"
        " WHERE EXISTS (SELECT b.id FROM sky.stars AS b WHERE b.id = a.id AND b.g_mag < 16)",
    ),
    Question("subquery", "SELECT q.id FROM (SELECT id, g_mag FROM sky.stars WHERE dec > 60) AS q WHERE q.g_mag > 25"),
    Question("metadata", "SELECT table_name FROM tap_schema.tables"),
    Question("metadata", "SELECT * FROM tap_schema.columns WHERE table_name = 'sky.stars'"),
)

REAL = (
    Question("cone", _in("CIRCLE(56.75, 24.12, 0.02)", "tycho2.stars")),
    Question("cone", _in("CIRCLE(56.75, 24.12, 0.1667)", "tycho2.stars")),
    Question("cone", _in("CIRCLE(56.75, 24.12, 1)", "tycho2.stars", "tyc, ra, dec, v_mag")),
    Question("cone", _in("CIRCLE(266.4, -29, 10)", "tycho2.stars", "COUNT(*)")),
    Question("cone", _in("CIRCLE(83.8, -5.4, 2)", "hipparcos.stars")),
    Question("polygon", _in("POLYGON(80, -8, 88, -8, 88, 2, 80, 2)", "tycho2.stars", "tyc")),
    Question("box", _in("BOX(201, -47, 3, 2)", "tycho2.stars", "tyc, v_mag") + " AND v_mag < 10"),
    Question("range", "SELECT tyc, v_mag FROM tycho2.stars WHERE v_mag < 3"),
    Question("range", "SELECT tyc, v_mag FROM tycho2.stars WHERE v_mag < 8 AND b_v > 1.5"),
    Question("range", "SELECT tyc FROM tycho2.stars WHERE pmra > 500"),
    Question("range", "SELECT hip, parallax FROM hipparcos.stars WHERE parallax > 100"),
    Question("range", "SELECT hip FROM hipparcos.stars WHERE parallax > 20 AND e_parallax / parallax < 0.1"),
    Question("equality", "SELECT * FROM tycho2.stars WHERE tyc = '1-8-1'"),
    Question("equality", "SELECT * FROM tycho2.stars WHERE hip = 71683"),
    Question("equality", "SELECT tyc FROM tycho2.stars WHERE tyc1 = 4000"),
    Question("in", "SELECT hip, hp_mag FROM hipparcos.stars WHERE hip IN (32349, 91262, 69673, 71683)"),
    Question("like", "SELECT tyc FROM tycho2.stars WHERE tyc LIKE '90%-1'"),
    Question("null", "SELECT COUNT(*) FROM tycho2.stars WHERE bt_mag IS NULL"),
    Question("null", "SELECT tyc, ccdm FROM tycho2.stars WHERE ccdm IS NOT NULL"),
    Question("group", "SELECT n_positions, COUNT(*) AS n FROM tycho2.stars GROUP BY n_positions"),
    Question("group", "SELECT tyc1, COUNT(*) AS n, AVG(v_mag) AS v FROM tycho2.stars GROUP BY tyc1"),
    Question("group", "SELECT solution_type, COUNT(*) FROM hipparcos.stars GROUP BY solution_type"),
    Question("distinct", "SELECT DISTINCT mean_flag, solution_flag FROM tycho2.stars"),
    Question("top", "SELECT TOP 100 tyc, v_mag FROM tycho2.stars ORDER BY v_mag"),
    Question("top", "SELECT TOP 1000 * FROM tycho2.stars"),
    Question(
        "expression",
        "SELECT tyc, v_mag FROM tycho2.stars WHERE SQRT(POWER(pmra, 2) + POWER(pmdec, 2)) > 200 AND v_mag < 11",
    ),
    Question(
        "join by key",
        "SELECT t.tyc, h.parallax FROM tycho2.stars AS t JOIN hipparcos.stars AS h ON t.hip = h.hip"
        " WHERE h.parallax > 10",
    ),
    Question(
        "join by key",
        "SELECT h.hip FROM hipparcos.stars AS h LEFT JOIN tycho2.stars AS t ON h.hip = t.hip WHERE t.hip IS NULL",
    ),
    Question(
        "crossmatch",
        "SELECT t.tyc, h.hip FROM ("
        + _in("CIRCLE(56.75, 24.12, 3)", "tycho2.stars")
        + ") AS t JOIN ("
        + _in("CIRCLE(56.75, 24.12, 3)", "hipparcos.stars")
        + ") AS h ON DISTANCE(POINT(t.ra, t.dec), POINT(h.ra, h.dec)) < 0.001",
    ),
    Question(
        "subquery",
        "SELECT COUNT(*) FROM tycho2.stars WHERE hip IN (SELECT hip FROM hipparcos.stars WHERE hp_mag < 6)",
    ),
)
