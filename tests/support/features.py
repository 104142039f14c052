"""What ADQL 2.1 has: queries with the rows that numpy finds, queries that misuse a feature, and values of functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pachon.core.healpix import pixel_of
from pachon.core.sky import separation_deg
from support.asking import Sky

Rows = list[tuple[Any, ...]]
STARS = "FROM sky.stars"
BRIGHT = "SELECT id FROM sky.stars WHERE r_mag < 14.5"
POLAR = "SELECT id FROM sky.stars WHERE dec > 89.8"


def floats(sky: Sky, name: str) -> np.ndarray:
    return sky.column(name).astype(np.float64)


def bright(sky: Sky) -> set[int]:
    return set(sky.column("id")[floats(sky, "r_mag") < 14.5].tolist())


def polar(sky: Sky) -> set[int]:
    return set(sky.column("id")[sky.column("dec") > 89.8].tolist())


def column(values: Any) -> Rows:
    """Rows of one column."""
    return [(value,) for value in values]


def count(mask: np.ndarray) -> Rows:
    return [(int(mask.sum()),)]


def first(sky: Sky, name: str, rows: int, *, skip: int = 0) -> Rows:
    """A column of the rows in the order of their identifiers."""
    order = np.argsort(sky.column("id"))
    return column(sky.rows[name].take(order[skip : skip + rows]).to_pylist())


def named(sky: Sky, test: Callable[[str], bool]) -> Rows:
    return [(sum(test(name) for name in sky.rows["name"].to_pylist() if name is not None),)]


def away(sky: Sky, ra: float, dec: float) -> np.ndarray:
    return separation_deg(sky.column("ra"), sky.column("dec"), ra, dec)


def self_pairs(sky: Sky) -> Rows:
    return [(sky.rows.num_rows,)]


@dataclass(frozen=True)
class Feature:
    """A query and its rows; a query that misuses the feature, with » where that shows, and words of the refusal."""

    asked: str
    rows: Rows | Callable[[Sky], Rows]
    wrong: str
    said: str


def in_box(sky: Sky, half_deg: float) -> np.ndarray:
    """Inside the box round (0, 0) whose sides are great circles across the ends of its two axes."""
    ra, dec = np.radians(sky.column("ra")), np.radians(sky.column("dec"))
    ahead, east, up = np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)
    reach = math.tan(math.radians(half_deg))
    return (ahead > 0) & (np.abs(east) <= reach * ahead) & (np.abs(up) <= reach * ahead)


BASICS = {
    # conditions, sorting, joins and types
    "BETWEEN": Feature(
        f"SELECT COUNT(*) {STARS} WHERE dec BETWEEN -1 AND 1 OR dec NOT BETWEEN -89 AND 89",
        lambda sky: count((np.abs(sky.column("dec")) <= 1) | (np.abs(sky.column("dec")) > 89)),
        f"SELECT id {STARS} WHERE dec BETWEEN »1", "two ends, as in x BETWEEN 1 AND 2",
    ),
    "IS NULL": Feature(
        f"SELECT COUNT(*) {STARS} WHERE name IS NULL AND NOT g_mag IS NOT NULL",
        lambda sky: [(sum(row["name"] is None and row["g_mag"] is None for row in sky.rows.to_pylist()),)],
        f"SELECT id {STARS} WHERE »name IS TRUE", "after IS only NULL or NOT NULL",
    ),
    "NOT NULL": Feature(
        f"SELECT COUNT(*) {STARS} WHERE name IS NOT NULL",
        lambda sky: [(sky.rows.num_rows - sky.rows["name"].null_count,)],
        f"SELECT id {STARS} WHERE NOT »NULL", "expected a condition",
    ),
    "TRUE and FALSE": Feature(
        f"SELECT COUNT(*) {STARS} WHERE is_variable = FALSE",
        lambda sky: count(~sky.column("is_variable").astype(bool)),
        f"SELECT id + »FALSE {STARS}", "needs a number, not a truth value",
    ),
    "ASC and DESC": Feature(
        f"SELECT TOP 2 id {STARS} ORDER BY is_variable ASC, id DESC",
        lambda sky: column(sorted(sky.column("id")[~sky.column("is_variable").astype(bool)].tolist())[:-3:-1]),
        f"SELECT id {STARS} ORDER BY id ASC »DESC", "one of ASC and DESC",
    ),
    "INNER JOIN": Feature(
        f"SELECT COUNT(*) FROM ({POLAR}) AS a INNER JOIN ({BRIGHT}) AS b ON a.id = b.id",
        lambda sky: [(len(polar(sky) & bright(sky)),)],
        "SELECT a.id FROM sky.stars AS a INNER JOIN »sky.stars AS b", "ON or USING",
    ),
    "RIGHT JOIN ... ON": Feature(
        f"SELECT COUNT(a.id) FROM ({POLAR}) AS a RIGHT JOIN ({BRIGHT}) AS b ON a.id = b.id",
        lambda sky: [(len(polar(sky) & bright(sky)),)],
        "SELECT a.id FROM sky.stars AS a RIGHT JOIN »sky.stars AS b", "ON or USING",
    ),
    "FULL JOIN ... ON": Feature(
        f"SELECT COUNT(*) FROM ({POLAR}) AS a FULL JOIN ({BRIGHT}) AS b ON a.id = b.id",
        lambda sky: [(len(polar(sky) | bright(sky)),)],
        "SELECT a.id FROM sky.stars AS a FULL JOIN »sky.stars AS b", "ON or USING",
    ),
    "NATURAL JOIN of names": Feature(
        f"SELECT COUNT(*) FROM ({POLAR}) AS a NATURAL LEFT JOIN ({BRIGHT}) AS b",
        lambda sky: [(len(polar(sky)),)],
        "SELECT a.id FROM sky.stars AS a NATURAL JOIN »sky.stars AS b USING (id)", "neither ON nor USING",
    ),
    "AVG, MIN and MAX": Feature(
        f"SELECT AVG(dec), MIN(id), MAX(name) {STARS} WHERE dec > 89.8",
        lambda sky: [
            (
                math.fsum(sky.column("dec")[sky.column("dec") > 89.8]) / len(polar(sky)),
                min(polar(sky)),
                max(r["name"] for r in sky.rows.to_pylist() if r["id"] in polar(sky) and r["name"] is not None),
            )
        ],
        f"SELECT MIN(id), AVG(»name) {STARS}", "AVG needs a number, not a string",
    ),
    # geometry beside what tests/queries/engines compares with brute force
    "BOX": Feature(
        f"SELECT COUNT(*) {STARS} WHERE 1 = CONTAINS(POINT(ra, dec), BOX(0, 0, 40, 40))",
        lambda sky: [(int(in_box(sky, 20).sum()),)],
        f"SELECT AREA(»BOX(1, 2, 3)) {STARS}", "four numbers",
    ),
    "INTERSECTS": Feature(
        f"SELECT COUNT(*) {STARS} WHERE 1 = INTERSECTS(CIRCLE(ra, dec, 0.5), CIRCLE(0, 10, 0.5))",
        lambda sky: count(away(sky, 0, 10) <= 1),
        f"SELECT id {STARS} WHERE 1 = INTERSECTS(CIRCLE(ra, dec, 1), »dec)", "expected a shape",
    ),
    "COORD1 and COORD2": Feature(
        f"SELECT TOP 1 COORD1(POINT(ra, dec)), COORD2(POINT(ra, dec)) {STARS} ORDER BY id",
        lambda sky: [(first(sky, "ra", 1)[0][0], first(sky, "dec", 1)[0][0])],
        f"SELECT COORD1(POINT(ra, dec)), COORD2(»CIRCLE(ra, dec, 1)) {STARS}", "needs a point",
    ),
    "COORD1 of no shape": Feature(
        f"SELECT TOP 1 COORD1(REGION('Position ICRS 10 20')) {STARS}",
        [(10.0,)],
        f"SELECT COORD1(»ra) {STARS}", "expected a shape",
    ),
    "COORDSYS": Feature(
        f"SELECT TOP 1 COORDSYS(POINT(ra, dec)) {STARS}",
        [("ICRS",)],
        f"SELECT COORDSYS(»ra) {STARS}", "expected a shape",
    ),
    "AREA": Feature(
        f"SELECT TOP 1 AREA(CIRCLE(10, 20, 90)) {STARS}",
        [(math.degrees(math.degrees(2 * math.pi)),)],
        f"SELECT AREA(»name) {STARS}", "expected a shape",
    ),
    "CENTROID": Feature(
        f"SELECT TOP 1 COORD1(CENTROID(CIRCLE(10, 20, 3))), COORD2(CENTROID(CIRCLE(10, 20, 3))) {STARS}",
        [(10.0, 20.0)],
        f"SELECT »CENTROID(MOC('4/1')) {STARS}", "CENTROID of a MOC is not offered",
    ),
    "REGION": Feature(
        f"SELECT COUNT(*) {STARS} WHERE 1 = CONTAINS(POINT(ra, dec), REGION('Circle ICRS 0 10 1'))",
        lambda sky: count(away(sky, 0, 10) <= 1),
        f"SELECT »REGION('Circle ICRS 0 10') {STARS}", "takes 3 numbers, not 2",
    ),
    "MOC": Feature(
        f"SELECT COUNT(*) {STARS} WHERE 1 = CONTAINS(POINT(ra, dec), MOC('5/0-4000'))",
        lambda sky: count(pixel_of(sky.column("ra"), sky.column("dec"), order=5) <= 4000),
        f"SELECT MOC(»'5/a') {STARS}", "no part of a MOC",
    ),
}  # fmt: skip
"""Conditions, sorting, joins, types and geometry."""

FUNCTIONS = {
    "ABS(-1.5)": 1.5,
    "ACOS(0.3)": math.acos(0.3),
    "ASIN(0.3)": math.asin(0.3),
    "ATAN(3)": math.atan(3),
    "ATAN2(1, -2)": math.atan2(1, -2),
    "CEILING(-1.5)": -1.0,
    "COS(3)": math.cos(3),
    "COT(3)": 1 / math.tan(3),
    "DEGREES(3)": math.degrees(3),
    "EXP(1.5)": math.exp(1.5),
    "FLOOR(-1.5)": -2.0,
    "LOG(3)": math.log(3),
    "LOG10(3)": math.log10(3),
    "MOD(-7, 3)": -1,
    "POWER(3, 1.5)": 3**1.5,
    "RADIANS(3)": math.radians(3),
    "ROUND(2.345, 2)": 2.35,
    "SIN(3)": math.sin(3),
    "SQRT(3)": math.sqrt(3),
    "SUM(id - id + 1)": 12_000,
    "TAN(3)": math.tan(3),
    "TRUNCATE(-2.349, 2)": -2.34,
}
"""Calls of the functions of numbers, and what they give."""
TYPED = {
    "CAST('a' AS SMALLINT)": "not a whole number",
    "CAST('a' AS INTEGER)": "not a whole number",
    "CAST('a' AS BIGINT)": "not a whole number",
    "CAST('a' AS REAL)": "not a number",
    "CAST('a' AS DOUBLE PRECISION)": "not a number",
    "CAST('a' AS TIMESTAMP)": "not a timestamp",
    "CAST(POINT(1, 2) AS CHAR)": "cannot convert a point",
    "CAST(POINT(1, 2) AS VARCHAR)": "cannot convert a point",
    "LOWER(5)": "needs a string, not a number",
    "PI(1)": "takes 0 arguments, not 1",
    "RAND('a')": "needs a number, not a string",
    "ivo_to_jd(5)": "needs a timestamp, not a number",
    "5 + TRUE": "not a truth value",
}
"""Values of other types than are needed, and what is said."""
